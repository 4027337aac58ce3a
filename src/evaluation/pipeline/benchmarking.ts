import { KernelEvolveError, type Peaks } from "../../domain/index.ts";
import type { ResolvedWorkload } from "../../problems/native.ts";
import { memoryLevel, type Roofline, roofline } from "../../targets/index.ts";
import type { Compiled } from "../compile/compiler.ts";
import { workloadBenchmark } from "./credit.ts";
import type { Outcome } from "./outcome.ts";
import type { Work } from "./plan.ts";
import type { References } from "./prepare.ts";
import { judge } from "./stages.ts";
import { benchmarkStatus, findings } from "./verdict.ts";
import { judged } from "./verifying.ts";

const CLOCK = "CLOCK_MONOTONIC_RAW of the judge, checked against the host's";

/** Times the candidate beside its baselines on every timed workload. @returns whether there is a measurement to go on with. */
export async function benchmarkStage(
  work: Work,
  outcome: Outcome,
  objects: { candidate: Compiled; references: References },
  peaksOf: (options: { fresh?: boolean }) => Promise<Peaks>,
): Promise<boolean> {
  const timed = work.prepared.workloads.filter((workload) => workload.role === "timed");
  if (timed.length === 0)
    throw new KernelEvolveError("unsupported", "none of the chosen workloads is timed", {
      fix: 'give one the role "timed"',
    });
  const started = performance.now();
  const input = { ...judged(work, objects.candidate, objects.references), workloads: timed };
  const events = await judge("benchmark", input, work.context);
  const found = findings(events);
  outcome.reasons.push(...found.reasons);
  let unmeasured = 0;
  const assess = (peaks: Peaks) =>
    events.flatMap((event) => {
      if (event.event !== "benchmarked") return [];
      const workload = timed.find((one) => one.uuid === event.workload);
      const roof = workload === undefined ? undefined : roofOf(work, workload, peaks);
      return [{ workload: event.workload, roof, ...workloadBenchmark(event, roof) }];
    });
  let assessed = assess(await peaksOf({}));
  // Peaks may have been measured in a bad moment; before a kernel is held to them, they are measured once more.
  if (assessed.some(({ reasons }) => reasons.some((reason) => reason.code === "above_roofline")))
    assessed = assess(await peaksOf({ fresh: true }));
  for (const { workload, roof, benchmark, reasons } of assessed) {
    if (roof !== undefined) outcome.roofs.set(workload, roof);
    outcome.benchmarks.push(benchmark);
    outcome.reasons.push(...reasons);
  }
  for (const event of events) {
    if (event.event === "unmeasured") {
      unmeasured += 1;
      outcome.reasons.push({
        code: "too_noisy",
        message: `${event.rejected} of ${event.rounds} pairs were disturbed: the machine is too busy to time this`,
        workload: event.workload,
      });
    }
  }
  const status = benchmarkStatus(found.status, outcome.benchmarks, { timed: timed.length, unmeasured });
  if (status === "too_noisy" && unmeasured === 0) {
    outcome.reasons.push({
      code: "too_noisy",
      message:
        "the interval of the ratio stayed wide and contains 1: no claim either way; a quieter machine or a longer benchmark may tell",
    });
  }
  outcome.status = status;
  outcome.stages.benchmark = {
    status,
    seconds: (performance.now() - started) / 1000,
    cached: false,
    artifacts: {},
    clock: CLOCK,
    cache: work.problem.cache,
    workloads: outcome.benchmarks,
  };
  return status === "ok" || status === "too_noisy";
}

function roofOf(work: Work, workload: ResolvedWorkload, peaks: Peaks): Roofline | undefined {
  const dtype = workload.outputs.find((tensor) => tensor.elements > 0)?.dtype ?? "float32";
  const level = memoryLevel(workload.bytes, work.machine.memory, work.problem.cache);
  return roofline({ flops: workload.flops, bytes: workload.bytes }, dtype, peaks, level, work.threads);
}
