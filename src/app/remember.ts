import {
  type EvaluationService,
  type EvolutionService,
  errorMessage,
  type KnowledgeAdd,
  type KnowledgeService,
  type ProblemService,
  type WorkContext,
} from "../domain/index.ts";
import { parseHeader } from "../evaluation/index.ts";
import { log } from "../platform/log.ts";
import { familyOf } from "./retrieval.ts";

export interface RememberParts {
  readonly evolution: EvolutionService;
  readonly evaluations: EvaluationService;
  readonly problems: ProblemService;
  readonly knowledge: KnowledgeService;
}

const MAX_SHAPES = 40;

/**
 * What a run found, for later ones: its best credited kernel, the way there and what failed, and what was measured of it, become documents
 * of the target. The same kernel again changes nothing.
 * @returns ids of the documents, or why there are none. Never throws: a search does not fail for what it would have taught.
 */
export async function rememberRun(
  { evolution, evaluations, problems, knowledge }: RememberParts,
  id: string,
  context: WorkContext,
): Promise<{ documents: string[]; note?: string }> {
  try {
    const { run, best } = await evolution.get(id);
    const speedup = best?.speedup;
    if (best === null || speedup === undefined || !speedup.credited)
      return { documents: [], note: "no speedup is credited yet, so there is nothing to remember" };
    const { source } = await evolution.node(best.id);
    const record = await evaluations.get(best.evaluation);
    const problem = await problems.get(run.problem);
    const { definition } = problem;
    const family = familyOf(problem);
    const tensors = [...Object.values(definition.inputs), ...Object.values(definition.outputs)];
    const about = {
      target: run.target,
      abstractions: [run.abstraction],
      ...(family === undefined ? {} : { op: [family] }),
      source: { title: `run ${run.id}, evaluation ${record.id}, ${record.device}` },
    } satisfies Partial<KnowledgeAdd>;
    const kernel = await knowledge.add(
      {
        ...about,
        text: source,
        format: "kernel",
        title: `${definition.name}: ${speedup.ratio.toFixed(1)}x over ${speedup.baseline} (${best.id})`,
        kernel: {
          problem: definition.name,
          dtypes: [...new Set(tensors.map((tensor) => tensor.dtype))],
          shapes: problem.workloads
            .slice(0, MAX_SHAPES)
            .map((one) =>
              Object.entries(one.axes)
                .map(([axis, size]) => `${axis}=${size}`)
                .join(" ")
                .slice(0, 120),
            )
            .filter((text) => text !== ""),
          techniques: [...parseHeader(source).techniques].slice(0, 40),
          speedup: speedup.ratio,
          baseline: speedup.baseline,
        },
      },
      context,
    );
    const documents = [...kernel.documents];
    const lesson = await evolution.lesson(run.id, context);
    if (lesson !== undefined) {
      const skill = await knowledge.add({ ...about, ...lesson, format: "markdown", kind: "skill" }, context);
      documents.push(...skill.documents);
    }
    if (record.stages.profile === undefined && record.diagnosis === undefined) return { documents };
    const trace = await knowledge.add(
      {
        ...about,
        text: JSON.stringify(record),
        format: "trace",
        title: `Measurement of ${definition.name} (${best.id})`,
      },
      context,
    );
    return { documents: [...documents, ...trace.documents] };
  } catch (error) {
    if (context.signal.aborted) throw error;
    log.warn({ err: error, run: id }, "the run's kernel was not added to the knowledge");
    return { documents: [], note: `the kernel was not added to the knowledge: ${errorMessage(error)}` };
  }
}
