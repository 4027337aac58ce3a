import { z } from "zod";
import { type EvaluationRecord, type Job, knowledgeAddedSchema, type Services } from "../domain/index.ts";
import { counted } from "../platform/text.ts";
import { handleFields, type ToolResult } from "./define.ts";
import { handleOf, isEnded, jobResult, runningText } from "./jobs.ts";
import {
  compactRecord,
  nodeSummary,
  nodeSummarySchema,
  overviewOf,
  overviewSchema,
  overviewText,
  recordSchema,
  recordText,
} from "./render.ts";

const files = z.array(z.object({ path: z.string(), what: z.string() }));

/** What jobs of one kind answer; each tool lists the form of its kind, job_wait all of them. */
const evaluateFields = { ...handleFields, record: recordSchema.optional() };
const submitFields = {
  ...evaluateFields,
  node: nodeSummarySchema.optional(),
  duplicate_of: z.string().optional(),
  changed: z.string().optional(),
  finished: z.boolean().optional(),
  overview: overviewSchema.optional(),
};
const registerFields = {
  ...handleFields,
  problem: z.string().optional(),
  degenerate: z.boolean().optional(),
  degenerate_workloads: z.array(z.string()).optional(),
};
const exportFields = {
  ...handleFields,
  files: files.optional(),
  best: nodeSummarySchema.nullable().optional(),
};

const addFields = {
  ...handleFields,
  documents: z.array(z.string()).optional(),
  sections: z.number().optional(),
  pages: z.number().optional(),
  unchanged: z.boolean().optional(),
  bottleneck: z.string().optional(),
  notes: z.array(z.string()).optional(),
};

export const evaluateOutput = z.object(evaluateFields);
export const submitOutput = z.object(submitFields);
export const runOutput = z.object({ ...handleFields, overview: overviewSchema.optional() });
export const registerOutput = z.object(registerFields);
export const exportOutput = z.object(exportFields);
export const addOutput = z.object(addFields);
const anyOutput = z.object({ ...submitFields, ...registerFields, ...exportFields, ...addFields });
export type Outcome = z.input<typeof anyOutput>;

const evaluated = z.object({ evaluation: z.string(), cached: z.boolean().optional() });
const submitted = z.object({
  node: z.string(),
  evaluation: z.string(),
  finished: z.boolean(),
  duplicate_of: z.string().nullable(),
  alike: z.enum(["unchanged", "text", "names"]).optional(),
  changed: z.string().optional(),
});

/** How a source that the run has already is the same as its twin. */
const ALIKE = {
  unchanged: "its parent's source, but for comments and white space at most",
  text: "but for comments and white space",
  names: "but for names, formatting and the order of functions",
} as const;
const driven = z.object({ run: z.string() });
const registered = z.object({ problem: z.string() });
const exported = z.object({
  run: z.string(),
  files,
  /** Documents that the next run's retrieval finds, or why there are none. */
  documents: z.array(z.string()).default([]),
  note: z.string().optional(),
});

const NEXT_AFTER_EVALUATION = {
  passed: "improve it as the diagnosis says and kernel_evaluate again, or evolve_start to search from it",
  flagged: "read reasons: the speedup is not credited until what they name is changed; then kernel_evaluate",
  rejected: "fix what reasons name, then kernel_evaluate",
} as const;

/** What follows from a record: the stage that it has not been through, else what its verdict asks for. */
function afterEvaluation({ verdict, stages }: EvaluationRecord): string {
  if (verdict === "passed" && stages.verify === undefined)
    return "kernel_evaluate: it compiles, no more is known";
  if (verdict === "passed" && stages.benchmark === undefined)
    return "kernel_evaluate, or kernel_benchmark: it is right, its speed is not known";
  return NEXT_AFTER_EVALUATION[verdict];
}

async function evaluationOutcome(job: Job, services: Services): Promise<ToolResult<Outcome>> {
  const result = jobResult(job, evaluated);
  const found = await services.evaluations.get(result.evaluation);
  const record = { ...found, cached: result.cached ?? found.cached };
  return {
    structured: { record: compactRecord(record) },
    text: recordText(record),
    next: afterEvaluation(record),
  };
}

async function submitOutcome(job: Job, services: Services): Promise<ToolResult<Outcome>> {
  const result = jobResult(job, submitted);
  const { node } = await services.evolution.node(result.node);
  const record = await services.evaluations.get(result.evaluation);
  const overview = await services.evolution.get(node.run);
  const twin = result.duplicate_of;
  return {
    structured: {
      node: nodeSummary(node),
      ...(twin === null ? {} : { duplicate_of: twin }),
      ...(result.changed === undefined ? {} : { changed: result.changed }),
      finished: result.finished,
      record: compactRecord(record),
      overview: overviewOf(overview),
    },
    text: [
      twin === null
        ? `node ${node.id}, step ${node.step}`
        : `nothing new: this source is that of node ${twin}, ${ALIKE[result.alike ?? "text"]}; its result stands, nothing was evaluated`,
      ...(result.changed === undefined ? [] : [`against its parent: ${result.changed}`]),
      recordText(record),
      overviewText(overview),
    ].join("\n"),
    next: result.finished
      ? `evolve_export with run ${node.run}`
      : record.verdict === "rejected"
        ? `evolve_next with run ${node.run}: a failed child may come back as a repair, with how the same error was repaired before`
        : `evolve_next with run ${node.run}`,
  };
}

async function runOutcome(job: Job, services: Services): Promise<ToolResult<Outcome>> {
  const { run } = jobResult(job, driven);
  const overview = await services.evolution.get(run);
  const next =
    job.kind === "prepare"
      ? `evolve_next with run ${run}`
      : overview.run.state === "open"
        ? `nothing is left to tune: evolve_next to propose kernels yourself, or evolve_export with run ${run}`
        : `evolve_export with run ${run}`;
  return { structured: { overview: overviewOf(overview) }, text: overviewText(overview), next };
}

async function registerOutcome(job: Job, services: Services): Promise<ToolResult<Outcome>> {
  const { problem } = jobResult(job, registered);
  const { grading } = await services.problems.get(problem);
  const weak = grading?.degenerate_workloads ?? [];
  const degenerate = grading?.degenerate ?? false;
  const judged = degenerate
    ? "degenerate: a candidate that computes nothing passes it, so no speedup on it is credited"
    : weak.length > 0
      ? `not credited on ${weak.join(", ")}: a null candidate passes there`
      : "no null candidate passes it";
  return {
    structured: { problem, degenerate, degenerate_workloads: weak },
    text: `registered ${problem}; ${judged}`,
    next: degenerate
      ? "change workloads or outputs so that doing nothing fails, then problem_register again"
      : `problem_describe with problem ${problem}, then evolve_start`,
  };
}

async function exportOutcome(job: Job, services: Services): Promise<ToolResult<Outcome>> {
  const result = jobResult(job, exported);
  const { best } = await services.evolution.get(result.run);
  return {
    structured: { files: result.files, best: best === null ? null : nodeSummary(best) },
    text: [
      best === null ? "no credited speedup was found" : `best: ${nodeSummary(best).speedup ?? best.id}`,
      ...result.files.map((file) => `${file.path}: ${file.what}`),
      ...result.documents.map((id) => `${id}: in the knowledge from now on`),
      ...(result.note === undefined ? [] : [result.note]),
    ].join("\n"),
    next: "open the HTML report, or evolve_start another run",
  };
}

function addOutcome(job: Job): ToolResult<Outcome> {
  const { documents, sections, pages, unchanged, bottleneck, notes, folder } = jobResult(
    job,
    knowledgeAddedSchema,
  );
  const first = documents[0] ?? "";
  return {
    structured: {
      documents: documents.slice(0, 50),
      sections,
      ...(pages === undefined ? {} : { pages }),
      unchanged,
      ...(bottleneck === undefined ? {} : { bottleneck }),
      notes,
    },
    text: [
      unchanged
        ? `already there: ${first}`
        : `added ${counted(documents.length, "document")}, ${counted(sections, "section")}${pages === undefined ? "" : `, ${counted(pages, "page")}`}: ${documents.slice(0, 5).join(", ")}${documents.length > 5 ? ", …" : ""}`,
      `in ${folder}`,
      ...(bottleneck === undefined ? [] : [`bottleneck: ${bottleneck}`]),
      ...notes,
    ].join("\n"),
    next: first === "" ? "knowledge_search" : `knowledge_read with id ${first}, or knowledge_search`,
  };
}

/**
 * The result of a job of any kind, or its handle while it runs.
 * @throws what the job failed with.
 */
export async function outcomeOf(job: Job, services: Services): Promise<ToolResult<Outcome>> {
  if (!isEnded(job)) {
    return { structured: handleOf(job), text: runningText(job), next: `job_wait with job_id ${job.id}` };
  }
  switch (job.kind) {
    case "evaluate":
      return await evaluationOutcome(job, services);
    case "submit":
      return await submitOutcome(job, services);
    case "prepare":
    case "evolve":
      return await runOutcome(job, services);
    case "register":
      return await registerOutcome(job, services);
    case "export":
      return await exportOutcome(job, services);
    case "knowledge_add":
      return addOutcome(job);
    default: {
      jobResult(job, z.unknown());
      return {
        structured: handleOf(job),
        text: runningText(job),
        next: "call again the tool that started it",
      };
    }
  }
}
