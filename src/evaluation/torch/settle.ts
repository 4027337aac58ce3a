import type { EvaluationRecord, Grading, Reason, Status, WorkloadBenchmark } from "../../domain/index.ts";
import { worstStatus } from "../pipeline/verdict.ts";
import { torchBenchmark } from "./credit.ts";
import { eventsOf, type TorchEvent } from "./events.ts";
import type { TorchWork } from "./plan.ts";
import { type TorchFacts, torchProfile } from "./profile.ts";
import { findingsOf } from "./reasons.ts";
import { deviceRoofline } from "./roofline.ts";

const MAX_REASONS = 12;
type Stages = { -readonly [K in keyof EvaluationRecord["stages"]]: EvaluationRecord["stages"][K] };

/** What is known of an evaluation so far. */
export interface State {
  status: Status;
  reasons: Reason[];
  stages: Stages;
  benchmarks: WorkloadBenchmark[];
  events: TorchEvent[];
  grading: Grading | undefined;
}

/** What the events mean: fails closed, so that only an explicit pass of every workload that exists is a pass. */
export function settle(
  work: TorchWork,
  state: State,
  events: readonly TorchEvent[],
  at: { started: number; verifiedAt: number; ended: number; timed: boolean },
): void {
  const failed = eventsOf(events, "error")[0];
  const findings = findingsOf(events);
  const problem = eventsOf(events, "problem")[0];
  const verified = eventsOf(events, "verified");
  const skipped = new Set(
    eventsOf(events, "skipped").flatMap((one) => (one.trial === "" ? [one.workload] : [])),
  );
  const optional = new Set(problem?.optional ?? []);
  const expected = (problem?.workloads ?? []).filter((uuid) => !skipped.has(uuid) && !optional.has(uuid));
  const whole =
    verified.length > 0 &&
    verified.every((one) => one.passed) &&
    expected.every((uuid) => verified.some((one) => one.workload === uuid));
  let status = worstStatus(findings.map((one) => one.status));
  if (failed !== undefined && status === "ok") {
    status = "infrastructure_error";
    state.reasons.push({ code: failed.code, message: failed.message.slice(0, 600) });
  }
  if (status === "ok" && !whole) {
    status = "infrastructure_error";
    state.reasons.push({
      code: "incomplete",
      message: "the judge did not tell of every workload that it verified them",
    });
  }
  const ordered = [
    ...findings.filter((one) => one.status === status),
    ...findings.filter((one) => one.status !== status),
  ];
  state.reasons.push(...distinct(ordered.map((one) => one.reason)).slice(0, MAX_REASONS));
  const verifyFailed = events.some((event) => event.event === "verified" && !event.passed) || !whole;
  state.stages.verify = {
    status: verifyFailed ? status : "ok",
    seconds: (at.verifiedAt - at.started) / 1000,
    cached: false,
    artifacts: {},
    workloads: verified.map((one) => ({
      workload: one.workload,
      trials: one.trials,
      passed: one.passed,
      ...(one.worst_error === null ? {} : { worst_error: one.worst_error }),
      ...(one.baseline_error === null ? {} : { baseline_error: one.baseline_error }),
      ...(one.deterministic === undefined || one.deterministic === null
        ? {}
        : { deterministic: one.deterministic }),
      failures: findings.flatMap(({ reason }) => (reason.workload === one.workload ? [reason] : [])),
    })),
  };
  state.status = status;
  for (const event of eventsOf(events, "dispatched").slice(0, 1))
    if (event.work === "torch")
      state.reasons.push({
        code: "no_own_kernel",
        message: "the candidate launched no kernel of its own: the work is done by torch's operators",
        workload: event.workload,
      });
  if (!at.timed || status !== "ok") return;
  settleBenchmark(work, state, events, (at.ended - at.verifiedAt) / 1000, problem?.timed ?? []);
  const facts = factsOf(work, state, events);
  const profile = work.stages.includes("profile") && facts !== undefined ? torchProfile(facts, 0) : undefined;
  if (profile !== undefined) state.stages.profile = profile;
  else if (work.stages.includes("profile"))
    state.reasons.push({
      code: "profile_failed",
      message: eventsOf(events, "undispatched")[0]?.reason ?? "nothing was recorded of the untimed call",
    });
}

function settleBenchmark(
  work: TorchWork,
  state: State,
  events: readonly TorchEvent[],
  seconds: number,
  timed: readonly string[],
): void {
  const skipped = new Set(
    eventsOf(events, "skipped").flatMap((one) => (one.trial === "" ? [one.workload] : [])),
  );
  const wanted = timed.filter((uuid) => !skipped.has(uuid));
  const measured = eventsOf(events, "benchmarked");
  const unmeasured = eventsOf(events, "unmeasured");
  for (const raw of measured) {
    const { benchmark, reasons } = torchBenchmark(raw, deviceRoofline(work.spec, work.problem, raw.workload));
    state.benchmarks.push(benchmark);
    state.reasons.push(...reasons);
  }
  for (const one of unmeasured)
    state.reasons.push({
      code: "too_noisy",
      message: `${one.rejected} of ${one.rounds} pairs were disturbed: the machine is too busy to time this`,
      workload: one.workload,
    });
  for (const one of eventsOf(events, "missing"))
    if (one.what.startsWith("baseline"))
      state.reasons.push({ code: "baseline_missing", message: `${one.what}: ${one.reason.slice(-300)}` });
  const noisy = unmeasured.length > 0 || state.benchmarks.some((one) => one.outcome === "too_noisy");
  const complete = measured.length + unmeasured.length >= wanted.length && wanted.length > 0;
  const status: Status = complete ? (noisy ? "too_noisy" : "ok") : "infrastructure_error";
  if (noisy && unmeasured.length === 0)
    state.reasons.push({
      code: "too_noisy",
      message:
        "the interval of the ratio stayed wide and contains 1: no claim either way; a quieter machine or a longer benchmark may tell",
    });
  if (!complete)
    state.reasons.push({
      code: "incomplete",
      message: "the judge did not tell of every workload that it timed it",
    });
  state.status = status;
  state.stages.benchmark = {
    status,
    seconds,
    cached: false,
    artifacts: {},
    clock:
      measured[0]?.clock === "device events"
        ? "device events, checked against the judge's clock"
        : "CLOCK_MONOTONIC of the judge",
    cache: work.problem.cache,
    workloads: state.benchmarks,
  };
}

function distinct(reasons: readonly Reason[]): Reason[] {
  const seen = new Set<string>();
  return reasons.filter((reason) => {
    const key = `${reason.code}|${reason.workload ?? ""}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** What a diagnosis is made from; undefined where nothing was dispatched under the profiler. */
export function factsOf(
  work: TorchWork,
  state: State,
  events: readonly TorchEvent[],
): TorchFacts | undefined {
  const [dispatched] = eventsOf(events, "dispatched");
  if (dispatched === undefined) return undefined;
  const slowest = state.benchmarks.toSorted((a, b) => b.candidate.median_ns - a.candidate.median_ns)[0];
  const roof = slowest === undefined ? undefined : deviceRoofline(work.spec, work.problem, slowest.workload);
  return { dispatched, slowest, roof };
}
