import { type EvaluateOptions, KernelEvolveError, STAGES, type Stage } from "../../domain/index.ts";

const DEFAULT_BENCHMARK_SECONDS = 20;
const MAX_BENCHMARK_SECONDS = 3600;
export const DEFAULT_STAGES: readonly Stage[] = ["compile", "verify", "benchmark"];

/** The stages asked for with those that they need, in order. */
export function stagesOf(asked: readonly Stage[]): Stage[] {
  const wanted = new Set(asked);
  const last = STAGES.findLastIndex((stage) => wanted.has(stage) && stage !== "profile");
  return STAGES.filter((stage, index) =>
    stage === "profile" ? wanted.has("profile") : index <= Math.max(0, last),
  );
}

/** Seconds of the benchmark stage. @throws invalid_argument. */
export function secondsOf(options: EvaluateOptions): number {
  const seconds = options.benchmark_seconds ?? DEFAULT_BENCHMARK_SECONDS;
  if (!(seconds > 0 && seconds <= MAX_BENCHMARK_SECONDS)) {
    throw new KernelEvolveError(
      "invalid_argument",
      `benchmark_seconds is ${seconds}; it must be above 0 and at most ${MAX_BENCHMARK_SECONDS}`,
    );
  }
  return seconds;
}
