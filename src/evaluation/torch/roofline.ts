import type { Problem, TargetSpec } from "../../domain/index.ts";
import { bindWorkload } from "../../problems/resolve.ts";
import type { Roofline } from "../../targets/index.ts";

/** The highest declared rate whose name starts so, e.g. `flops.float16.`. */
function highest(declared: Readonly<Record<string, number>>, prefix: string): number {
  return Math.max(0, ...Object.entries(declared).map(([name, rate]) => (name.startsWith(prefix) ? rate : 0)));
}

/**
 * The least time of one call on a device whose vendor declares its peaks: bytes over DRAM bandwidth (caches are flushed before every call),
 * operations over the peak of the output's type. Undefined where the problem's definition does not tell its tensors (problems in
 * formats of others), or the caches are warm, or the target declares nothing.
 */
export function deviceRoofline(spec: TargetSpec, problem: Problem, uuid: string): Roofline | undefined {
  const declared = spec.peaks.source === "declared" ? spec.peaks.declared : undefined;
  const workload = problem.workloads.find((one) => one.uuid === uuid);
  if (
    declared === undefined ||
    workload === undefined ||
    problem.origin !== undefined ||
    problem.cache === "warm"
  )
    return undefined;
  const bandwidth = highest(declared, "bandwidth.dram");
  const bound = bindWorkload(problem.definition, workload);
  const dtype = bound.outputs.find((tensor) => tensor.elements > 0)?.dtype ?? "float32";
  const peak = highest(declared, `flops.${dtype}.`);
  if (!(bandwidth > 0) || bound.bytes === 0) return undefined;
  const flops = bound.flops ?? 0;
  const compute = peak > 0 ? flops / peak : 0;
  const memory = bound.bytes / bandwidth;
  return {
    seconds: Math.max(compute, memory),
    bound: compute > memory ? "compute" : "memory",
    intensity: flops / bound.bytes,
    ridge: peak / bandwidth,
    peak_flops: peak,
    peak_bandwidth: bandwidth,
    level: "DRAM",
  };
}
