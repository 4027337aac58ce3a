import { type Grading, KernelEvolveError, type Origin, type WorkContext } from "../../domain/index.ts";
import { jobBase } from "./evaluate.ts";
import { eventsOf, type TorchEvent } from "./events.ts";
import { originField, problemField, withFiles } from "./job.ts";
import type { TorchWork } from "./plan.ts";
import { failureFinding } from "./reasons.ts";
import type { TorchJudge } from "./server.ts";

const NULLS = ["zeros", "ones", "mean", "input_copy", "random"] as const;

function thrown(events: readonly TorchEvent[], what: string): void {
  const [failed] = eventsOf(events, "error");
  if (failed === undefined) return;
  if (failed.code === "infrastructure") throw new KernelEvolveError("infrastructure", failed.message);
  throw new KernelEvolveError("invalid_argument", `${what}: ${failed.message.slice(0, 1500)}`);
}

/** Name and workloads of a problem in a format of others. @throws invalid_argument with what its text lacks. */
export async function describeOrigin(
  origin: Origin,
  name: string | undefined,
  judge: TorchJudge,
  context: WorkContext,
): Promise<{ name: string; workloads: { uuid: string; timed: boolean }[] }> {
  const field = originField(origin, name ?? origin.format);
  return await withFiles(field, origin, async (problem) => {
    const events = await judge.ask({ mode: "describe", device: "cpu", problem }, 180_000, context);
    thrown(events, `the ${origin.format} problem`);
    const [found] = eventsOf(events, "problem");
    if (found === undefined)
      throw new KernelEvolveError("infrastructure", "the torch judge described nothing");
    const timed = new Set(found.timed);
    return {
      name: name ?? found.name,
      workloads: found.workloads.map((uuid) => ({ uuid, timed: timed.has(uuid) })),
    };
  });
}

/** What the null candidates' answers mean; a workload whose answer does not depend on its inputs decides nothing either. */
export async function gradeTorch(work: Omit<TorchWork, "source">, judge: TorchJudge): Promise<Grading> {
  const { problem } = work;
  const field = problemField(problem, undefined);
  const events = await withFiles(field, problem.origin, async (given) =>
    judge.ask({ ...jobBase(work), mode: "grade", problem: given }, 900_000, work.context),
  );
  thrown(events, problem.definition.name);
  const [failure] = eventsOf(events, "host_failure");
  if (failure !== undefined)
    throw new KernelEvolveError("invalid_argument", failureFinding(failure).reason.message, {
      fix: "the problem's own code must run on this target",
    });
  const graded = eventsOf(events, "graded");
  if (graded.length === 0) throw new KernelEvolveError("infrastructure", "the torch judge graded nothing");
  const telling = graded.filter((one) => !one.empty);
  const nulls: Grading["nulls"] = NULLS.map((candidate) => {
    const passed = telling.filter((one) => one.nulls[candidate] === true).map((one) => one.workload);
    return {
      candidate,
      passed: telling.length > 0 && passed.length === telling.length,
      workloads_passed: passed,
    };
  });
  const timed = new Set(problem.workloads.filter((one) => one.role === "timed").map((one) => one.uuid));
  const weak = graded.filter((one) => one.degenerate && timed.has(one.workload)).map((one) => one.workload);
  return {
    degenerate: nulls.some((one) => one.passed) || (timed.size > 0 && weak.length === timed.size),
    nulls,
    degenerate_workloads: weak,
    graded_at: new Date().toISOString(),
  };
}
