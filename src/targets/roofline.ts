import { type Dtype, isFloat, type Peaks } from "../domain/index.ts";

/** The least time one call can take, and which of the two sides says so (S. Williams et al., "Roofline", CACM 52(4), 2009). */
export interface Roofline {
  readonly seconds: number;
  readonly bound: "memory" | "compute";
  /** FLOP a byte of the problem, and where the two roofs meet on this machine. */
  readonly intensity: number;
  readonly ridge: number;
  readonly peak_flops: number;
  readonly peak_bandwidth: number;
  readonly level: string;
}

/** The level a working set of `bytes` lives in when nothing evicts it; DRAM when caches are cold. */
export function memoryLevel(
  bytes: number,
  memory: Readonly<Record<string, number>>,
  cache: "cold" | "warm",
): string {
  if (cache === "cold") return "DRAM";
  for (const level of ["L1", "L2", "L3"]) {
    const size = memory[level];
    if (size !== undefined && bytes <= size) return level;
  }
  return "DRAM";
}

/**
 * Roofline of one call.
 * @param flops operations of one call (0 or undefined where the problem does not tell: memory alone then binds)
 * @param bytes bytes one call must move
 * @param threads 1, or more when the candidate uses all cores
 * @returns undefined when the machine's peaks lack what is needed.
 */
export function roofline(
  work: { flops: number | undefined; bytes: number },
  dtype: Dtype,
  peaks: Peaks,
  level: string,
  threads: number,
): Roofline | undefined {
  const flopsTable = threads > 1 ? peaks.flops_all : peaks.flops;
  const bandwidthTable = threads > 1 ? peaks.bandwidth_all : peaks.bandwidth;
  const kind = isFloat(dtype) ? (dtype === "float64" ? "float64" : "float32") : "int32";
  const peakFlops = Math.max(
    ...Object.entries(flopsTable).map(([name, value]) => (name.startsWith(`${kind}.`) ? value : 0)),
  );
  const bandwidth = bandwidthTable[level] ?? bandwidthTable["DRAM"];
  if (!(peakFlops > 0) || bandwidth === undefined) return undefined;
  const flops = work.flops ?? 0;
  const compute = flops / peakFlops;
  const memory = work.bytes / bandwidth;
  return {
    seconds: Math.max(compute, memory),
    bound: compute > memory ? "compute" : "memory",
    intensity: work.bytes === 0 ? Number.POSITIVE_INFINITY : flops / work.bytes,
    ridge: peakFlops / bandwidth,
    peak_flops: peakFlops,
    peak_bandwidth: bandwidth,
    level,
  };
}
