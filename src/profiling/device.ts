import type { CompiledKernel, Diagnosis, ProfiledKernel, ProfileStage } from "../domain/index.ts";
import { ADVICE } from "./advice.ts";
import type { Timeline } from "./timeline.ts";
import { ncuBottleneck } from "./traces/ncu.ts";
import type { TraceRow } from "./traces/summary.ts";

/** What is known about one call on a device; anything may be missing. */
export interface DeviceFacts {
  readonly workload: string;
  /** The benchmark's median of one call. */
  readonly medianUs?: number | undefined;
  /** One call on an idle device without a profiler: what launching costs is in it. */
  readonly plainUs?: number | undefined;
  readonly timeline?: Timeline | undefined;
  /** Kernels with counters (Nsight Compute), and with what Proton saw. */
  readonly counters?: readonly TraceRow[] | undefined;
  readonly proton?: readonly TraceRow[] | undefined;
  /** The compiler's report. */
  readonly compiled?: readonly CompiledKernel[] | undefined;
  /** By the definition: share of its roof, of the benchmark. */
  readonly roof?: { readonly share: number; readonly bound: "memory" | "compute" } | undefined;
  /** Bytes of all tensors of a call, each once, and the memory's peak in bytes a second. */
  readonly tensorBytes?: number | undefined;
  readonly bandwidth?: number | undefined;
}

export interface DeviceProfile {
  readonly diagnosis: Diagnosis;
  readonly reached: ProfileStage["reached"];
}

/** A call whose kernels fill less than this of its time waits for something else. */
const BUSY = 0.6;
/** Kernels this short are mostly their own begin and end. */
const SHORT_US = 5;
const NEAR_ROOF = 0.6;

/** The function's own name in a demangled one: `void at::native::f<int>(int)` and `f` are the same kernel. */
export function kernelBase(name: string): string {
  let plain = name.replace(/^void\s+/, "");
  for (let before = ""; before !== plain; ) {
    before = plain;
    plain = plain.replace(/<[^<>]*>|\([^()]*\)/g, "");
  }
  return plain.split("::").at(-1)?.trim() ?? plain;
}

/** The row of this kernel: of its name, or of its base name where that is only one's. */
function rowOf<T extends { readonly name: string }>(
  rows: readonly T[] | undefined,
  name: string,
): T | undefined {
  const exact = rows?.find((row) => row.name === name);
  if (exact !== undefined) return exact;
  const base = kernelBase(name);
  const same = rows?.filter((row) => kernelBase(row.name) === base) ?? [];
  return same.length === 1 ? same[0] : undefined;
}

function known(figures: Readonly<Record<string, number | undefined>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(figures).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** Kernels of one call with the figures of every profiler that saw them, most time first. */
export function profiledKernels(facts: DeviceFacts): ProfiledKernel[] {
  const { timeline, counters, proton, compiled } = facts;
  // Without a timeline (no CUPTI), Proton's or ncu's own times.
  const seen =
    timeline?.onDevice === true
      ? timeline.kernels
      : (proton ?? counters ?? []).map((row) => ({
          name: row.name,
          launches: row.calls ?? 1,
          microseconds: row.microseconds ?? 0,
        }));
  const total = seen.reduce((sum, one) => sum + one.microseconds, 0);
  return seen.map((one): ProfiledKernel => {
    const counted = rowOf(counters, one.name);
    const launched = rowOf(timeline?.kernels, one.name);
    const built = rowOf(compiled, one.name);
    const traced = rowOf(proton, one.name);
    const metrics = counted?.metrics ?? {};
    const moved = (metrics["dram_read_bytes"] ?? 0) + (metrics["dram_write_bytes"] ?? 0);
    const each =
      counted?.microseconds === undefined
        ? undefined
        : counted.microseconds / Math.max(1, counted.calls ?? 1);
    return {
      name: one.name.slice(0, 200),
      launches: one.launches,
      microseconds: one.microseconds,
      share: total > 0 ? one.microseconds / total : 0,
      figures: known({
        registers: built?.registers ?? launched?.registers,
        shared_bytes: built?.shared_bytes ?? launched?.sharedBytes,
        spill_bytes: built?.spill_bytes,
        threads: built?.threads ?? launched?.threads,
        theoretical_occupancy: built?.occupancy,
        estimated_occupancy: launched?.occupancy,
        blocks_per_sm: launched?.blocksPerSm,
        ...traced?.metrics,
        ...metrics,
        ...(moved > 0 && each !== undefined && each > 0
          ? { dram_bytes_per_second: moved / each / 1e-6 }
          : {}),
      }),
    };
  });
}

const percent = (share: number): string => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const short = (name: string): string => (name.length > 80 ? `${kernelBase(name).slice(0, 80)}` : name);

/** The share of a roof: by the definition, by counters, or by the tensors' bytes, whichever is the surest that is known. */
function reachedOf(facts: DeviceFacts, top: ProfiledKernel | undefined): ProfileStage["reached"] {
  if (facts.roof !== undefined)
    return { share: facts.roof.share, bound: facts.roof.bound, by: "the definition's bytes and operations" };
  const dram = top?.figures["dram_percent"];
  const compute = top?.figures["compute_percent"];
  if (top !== undefined && dram !== undefined && compute !== undefined) {
    const memory = dram >= compute;
    return {
      share: Math.max(dram, compute) / 100,
      bound: memory ? "memory" : "compute",
      by: `counters of ${short(top.name)}`,
    };
  }
  const { tensorBytes, bandwidth, timeline } = facts;
  const busy = timeline?.busyUs ?? 0;
  if (tensorBytes === undefined || bandwidth === undefined || busy <= 0) return undefined;
  return {
    share: Math.min(1, tensorBytes / bandwidth / (busy * 1e-6)),
    bound: "memory",
    by: "its tensors moved once, while kernels ran",
  };
}

type Found = { readonly bottleneck: Diagnosis["bottleneck"]; readonly evidence: string } | undefined;

function launchBound(facts: DeviceFacts, reached: ProfileStage["reached"]): Found {
  const { timeline } = facts;
  const callUs = facts.medianUs ?? facts.plainUs ?? timeline?.callUs;
  if (timeline?.onDevice !== true || callUs === undefined || callUs <= 0) return undefined;
  const { busyUs, launches, launchUs, spanUs } = timeline;
  const filled = Math.min(1, busyUs / callUs);
  const mean = busyUs / Math.max(1, launches);
  const many = launches >= 4 && mean < SHORT_US && (reached === undefined || reached.share < NEAR_ROOF);
  if (filled >= BUSY && !many) return undefined;
  return {
    bottleneck: "launch",
    evidence: `${launches} launches in ${callUs.toFixed(1)} µs; kernels fill ${percent(filled)} of it, ${mean.toFixed(1)} µs each, with ${(spanUs - busyUs).toFixed(1)} µs of gaps between them; a launch costs the processor ${launchUs.toFixed(1)} µs`,
  };
}

function kernelBound(top: ProfiledKernel, reached: ProfileStage["reached"]): Found {
  const { figures } = top;
  const where = `in ${short(top.name)} (${percent(top.share)} of the device's time)`;
  const spilled = figures["spill_bytes"] ?? 0;
  const near = (reached?.share ?? 0) >= NEAR_ROOF;
  if (spilled > 0 && !near)
    return {
      bottleneck: "register",
      evidence: `${where} a thread spills ${spilled} bytes with ${figures["registers"] ?? "?"} registers`,
    };
  const counted = ncuBottleneck(figures);
  const named = counted === undefined ? undefined : OF_DOCUMENTS[counted.bottleneck];
  if (counted !== undefined && named !== undefined)
    return { bottleneck: named, evidence: `${where} ${counted.evidence}` };
  if (near) return undefined;
  const blocks = figures["blocks_per_sm"];
  if (blocks !== undefined && blocks > 0 && blocks < 0.9)
    return {
      bottleneck: "tail",
      evidence: `${where} there are ${blocks.toFixed(2)} blocks a multiprocessor: the device is not filled`,
    };
  const occupancy = figures["theoretical_occupancy"];
  // Kernels that compute on large tiles have few warps on purpose.
  if (occupancy !== undefined && occupancy < 0.25 && reached?.bound !== "compute")
    return { bottleneck: "occupancy", evidence: `${where} occupancy can be ${percent(occupancy)} at most` };
  return undefined;
}

/** Words of documents that are also those of a diagnosis. */
const OF_DOCUMENTS: Readonly<Record<string, Diagnosis["bottleneck"]>> = {
  memory: "memory",
  compute: "compute",
  latency: "latency",
  occupancy: "occupancy",
  register: "register",
  "bank-conflict": "bank-conflict",
  divergence: "divergence",
  launch: "launch",
  tail: "tail",
};

function roofBound(facts: DeviceFacts, reached: ProfileStage["reached"]): Found {
  if (reached === undefined) return undefined;
  const of = `${percent(reached.share)} of the ${reached.bound} roof, by ${reached.by}`;
  if (reached.share >= NEAR_ROOF) return { bottleneck: reached.bound, evidence: of };
  // Bytes alone say nothing of a call that may compute.
  if (facts.roof === undefined) return undefined;
  return { bottleneck: reached.bound === "memory" ? "latency" : "compute", evidence: of };
}

/** Names what limits a call on a device, with the figures that say so and the share of the roof that it reached. */
export function diagnoseDevice(
  facts: DeviceFacts,
  kernels: readonly ProfiledKernel[] = profiledKernels(facts),
): DeviceProfile {
  const [top] = kernels;
  const reached = reachedOf(facts, top);
  const found =
    launchBound(facts, reached) ??
    (top === undefined ? undefined : kernelBound(top, reached)) ??
    roofBound(facts, reached);
  const share = reached === undefined ? "" : `; ${percent(reached.share)} of the ${reached.bound} roof`;
  if (found === undefined) {
    const time = facts.medianUs ?? facts.plainUs;
    return {
      reached,
      diagnosis: {
        bottleneck: "unknown",
        evidence: `${time === undefined ? "no time was measured" : `${time.toFixed(1)} µs a call on ${facts.workload}`}${top === undefined ? "" : `, ${percent(top.share)} of the device's time in ${short(top.name)}`}${share}`,
        advice: ADVICE.unknown,
      },
    };
  }
  const told = found.evidence.includes(" roof") ? "" : share;
  return {
    reached,
    diagnosis: { ...found, evidence: `${found.evidence}${told}`, advice: ADVICE[found.bottleneck] },
  };
}
