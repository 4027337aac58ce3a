import { KernelEvolveError } from "../../../domain/index.ts";
import { chromeTrace, ncuTrace, protonTrace, type TraceSummary } from "../../../profiling/index.ts";
import { recordTrace } from "./json.ts";
import { callgrindTrace, perfReportTrace, perfStatTrace } from "./text.ts";

/**
 * Reduces a profile to the functions that take the time, the counters, and the bottleneck that they name.
 * @throws invalid_argument for what is no profile that is read here.
 */
export function readTrace(text: string, name: string): TraceSummary {
  let json: unknown;
  try {
    json = /^\s*[[{]/.test(text) ? JSON.parse(text) : undefined;
  } catch {
    throw new KernelEvolveError("invalid_argument", `${name} begins like JSON but is none: was it cut off?`, {
      fix: "write the profile again",
    });
  }
  const found =
    json === undefined
      ? (ncuTrace(text) ?? callgrindTrace(text) ?? perfReportTrace(text) ?? perfStatTrace(text))
      : (chromeTrace(json) ?? protonTrace(json) ?? recordTrace(json));
  if (found !== undefined) return found;
  throw new KernelEvolveError("invalid_argument", `${name} is no profile that is read here`, {
    fix: "known: `ncu --csv`, the PyTorch profiler's JSON, Proton's .hatchet, `perf stat`, `perf report --stdio`, a callgrind.out file, our own evaluation records",
  });
}
