import type { Grading, Problem, WorkContext } from "../../domain/index.ts";
import type { Graded } from "../native/events.ts";
import { compileReferences, prepare } from "./prepare.ts";
import type { PipelineTargets } from "./service.ts";
import { judge } from "./stages.ts";

const NULLS = ["zeros", "ones", "mean", "input_copy", "uninitialised", "random"] as const;

/**
 * What the null candidates' answers mean. A workload without any output element decides nothing and is left out; one that a null
 * candidate passes earns no credit; a problem that one passes everywhere, or whose timed workloads are all weak, is degenerate.
 */
export function gradingOf(graded: readonly Graded[], timed: ReadonlySet<string>, at: Date): Grading {
  const telling = graded.filter((event) => !event.empty);
  const nulls = NULLS.map((candidate) => {
    const passed = telling.filter((event) => event.nulls[candidate]).map((event) => event.workload);
    return {
      candidate,
      passed: telling.length > 0 && passed.length === telling.length,
      workloads_passed: passed,
    };
  });
  const weak = [...new Set(nulls.flatMap((one) => one.workloads_passed))].filter((uuid) => timed.has(uuid));
  return {
    degenerate: nulls.some((one) => one.passed) || (timed.size > 0 && weak.length === timed.size),
    nulls,
    degenerate_workloads: weak,
    graded_at: at.toISOString(),
  };
}

/** Grades a problem: which null candidates (zeros, ones, the mean, a copy of an input, nothing, random numbers) would pass. */
export async function gradeProblem(
  problem: Problem,
  target: string,
  targets: PipelineTargets,
  context: WorkContext,
): Promise<Grading> {
  const spec = await targets.get(target);
  const prepared = prepare(problem, spec, targets.machine(), undefined);
  const references = await compileReferences(problem, prepared, [], context);
  const input = {
    candidate: undefined,
    references,
    workloads: prepared.workloads,
    threads: 1,
    cache: problem.cache,
    target,
    benchmarkSeconds: 0,
  };
  const events = await judge("grade", input, context);
  const timed = problem.workloads.filter((workload) => workload.role === "timed");
  return gradingOf(
    events.filter((event): event is Graded => event.event === "graded"),
    new Set(timed.map((workload) => workload.uuid)),
    new Date(),
  );
}
