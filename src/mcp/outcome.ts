import { z } from "zod";
import type { Job, Services } from "../domain/index.ts";
import { jobHandleSchema } from "./define.ts";
import { handleOf, isEnded, jobResult, runningText } from "./jobs.ts";
import {
  compactRecord,
  compactRecordSchema,
  nodeSummary,
  nodeSummarySchema,
  overviewOf,
  overviewSchema,
  overviewText,
  recordText,
} from "./render.ts";

/** What any job's tool answers: one of these parts, and the next useful step. */
export const outcomeSchema = z.object({
  running: jobHandleSchema.optional(),
  record: compactRecordSchema.optional(),
  node: nodeSummarySchema.optional(),
  duplicate_of: z.string().optional(),
  finished: z.boolean().optional(),
  overview: overviewSchema.optional(),
  problem: z.string().optional(),
  degenerate: z.boolean().optional(),
  degenerate_workloads: z.array(z.string()).optional(),
  files: z.array(z.object({ path: z.string(), what: z.string() })).optional(),
  next: z.string(),
});
export type Outcome = z.infer<typeof outcomeSchema>;

const evaluated = z.object({ evaluation: z.string(), cached: z.boolean().optional() });
const submitted = z.object({
  node: z.string(),
  evaluation: z.string(),
  finished: z.boolean(),
  duplicate_of: z.string().nullable(),
});
const driven = z.object({ run: z.string() });
const registered = z.object({ problem: z.string() });
const exported = z.object({
  run: z.string(),
  files: z.array(z.object({ path: z.string(), what: z.string() })),
});

/** The result of a job of any kind, or its handle while it runs. @throws what the job failed with. */
export async function outcomeOf(
  job: Job,
  services: Services,
  next: string,
): Promise<{ structured: Outcome; text: string }> {
  if (!isEnded(job)) {
    return { structured: { running: handleOf(job), next: "job_wait" }, text: runningText(job) };
  }
  switch (job.kind) {
    case "evaluate": {
      const result = jobResult(job, evaluated);
      const record = {
        ...(await services.evaluations.get(result.evaluation)),
        cached: result.cached ?? false,
      };
      return { structured: { record: compactRecord(record), next }, text: recordText(record) };
    }
    case "submit": {
      const result = jobResult(job, submitted);
      const { node } = await services.evolution.node(result.node);
      const record = await services.evaluations.get(result.evaluation);
      const overview = await services.evolution.get(node.run);
      const twin = result.duplicate_of;
      return {
        structured: {
          node: nodeSummary(node),
          ...(twin === null ? {} : { duplicate_of: twin }),
          finished: result.finished,
          record: compactRecord(record),
          overview: overviewOf(overview),
          next: result.finished ? "evolve_export" : "evolve_next",
        },
        text: [
          twin === null
            ? `node ${node.id}, step ${node.step}`
            : `nothing new: this source is ${twin} but for comments and white space; its result stands, nothing was spent`,
          recordText(record),
          overviewText(overview),
        ].join("\n"),
      };
    }
    case "prepare":
    case "evolve": {
      const { run } = jobResult(job, driven);
      const overview = await services.evolution.get(run);
      const step =
        job.kind === "prepare"
          ? "evolve_next"
          : overview.run.state === "open"
            ? "evolve_status"
            : "evolve_export";
      return { structured: { overview: overviewOf(overview), next: step }, text: overviewText(overview) };
    }
    case "register": {
      const { problem } = jobResult(job, registered);
      const found = await services.problems.get(problem);
      const weak = found.grading?.degenerate_workloads ?? [];
      const degenerate = found.grading?.degenerate ?? false;
      const judged = degenerate
        ? "degenerate: a candidate that computes nothing passes it, so no speedup on it is credited"
        : weak.length > 0
          ? `not credited on ${weak.join(", ")}: a null candidate passes there`
          : "no null candidate passes it";
      return {
        structured: {
          problem,
          degenerate,
          degenerate_workloads: weak,
          next: "problem_describe, then evolve_start",
        },
        text: `registered ${problem}; ${judged}`,
      };
    }
    case "export": {
      const { files } = jobResult(job, exported);
      return {
        structured: { files, next: "open report.html" },
        text: files.map((file) => `${file.path}: ${file.what}`).join("\n"),
      };
    }
    default: {
      jobResult(job, z.unknown());
      return { structured: { next }, text: `job ${job.id} is done` };
    }
  }
}
