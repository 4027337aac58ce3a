import type { Diagnosis } from "../domain/index.ts";

/** What is known about one candidate's slowest timed workload; anything may be missing. */
export interface DiagnosisFacts {
  /** Share of the roofline reached, 0..1, and which roof it is. */
  readonly roofline?: number | undefined;
  readonly bound?: "memory" | "compute" | undefined;
  readonly level?: string | undefined;
  readonly intensity?: number | undefined;
  readonly medianNs?: number | undefined;
  /** Loops that gcc vectorised, and lines where it told why not. */
  readonly vectorisedLoops?: number | undefined;
  readonly missed?: readonly { readonly line: number; readonly text: string }[] | undefined;
  readonly usesIntrinsics?: boolean | undefined;
  /** From a profiler: per instruction or per call. */
  readonly metrics?: Readonly<Record<string, number>> | undefined;
}

const percent = (share: number): string => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

/**
 * Names the bottleneck with the figures that say so, and what is usually done about it.
 * The order matters: a call of a microsecond is latency whatever else; then what a profiler saw; then the roofline.
 */
export function diagnose(facts: DiagnosisFacts): Diagnosis {
  const m = facts.metrics ?? {};
  const share = facts.roofline;
  const reached =
    share === undefined ? "" : `${percent(share)} of the ${facts.bound ?? ""} roof`.replace("  ", " ");
  if (facts.medianNs !== undefined && facts.medianNs < 2000) {
    return {
      bottleneck: "launch",
      evidence: `one call takes ${facts.medianNs.toFixed(0)} ns: fixed costs (call, loop set-up, first cache misses) are most of it`,
      advice: [
        "reduce set-up work and branches before the main loop",
        "give small shapes a path of their own",
      ],
    };
  }
  const mispredicted = m["branch_mispredict_rate"];
  if (mispredicted !== undefined && mispredicted > 0.05 && (m["branches_per_instruction"] ?? 0) > 0.05) {
    return {
      bottleneck: "branch",
      evidence: `${percent(mispredicted)} of the branches are mispredicted, ${percent(m["branches_per_instruction"] ?? 0)} of the instructions are branches`,
      advice: [
        "replace data-dependent branches by masks, min/max or conditional moves",
        "sort or partition the work so that branches agree",
      ],
    };
  }
  const missed = facts.missed ?? [];
  if (
    facts.vectorisedLoops === 0 &&
    facts.usesIntrinsics !== true &&
    missed.length > 0 &&
    (share === undefined || share < 0.5)
  ) {
    const first = missed[0];
    return {
      bottleneck: "unvectorised",
      evidence: `gcc vectorised no loop; line ${first?.line}: ${first?.text ?? ""}${reached === "" ? "" : `; ${reached}`}`,
      advice: [
        "make the inner loop contiguous in memory and free of dependences: restrict pointers, several accumulators, -ffast-math for reductions where the tolerance allows",
        "or write it with vector extensions or intrinsics (AVX2: 8 floats, AVX-512: 16)",
      ],
    };
  }
  const missRate = m["last_level_misses_per_1000_instructions"];
  if (missRate !== undefined && missRate > 5) {
    return {
      bottleneck: "memory",
      evidence: `${missRate.toFixed(1)} last-level cache misses in 1,000 instructions${reached === "" ? "" : `; ${reached}`}`,
      advice: [
        "block the loops so that a tile is used while it is in cache",
        "stream in address order so that the prefetchers follow",
        "fuse passes over the same data",
      ],
    };
  }
  if (share !== undefined && facts.bound === "memory") {
    if (share > 0.6) {
      return {
        bottleneck: "memory",
        evidence: `${reached} (${facts.level ?? "memory"} bandwidth): little is left without moving fewer bytes`,
        advice: [
          "fuse with what comes before or after",
          "use all cores: one core seldom fills the memory's bandwidth",
          "prefetch ahead by some hundred nanoseconds of work",
        ],
      };
    }
    return {
      bottleneck: "latency",
      evidence: `only ${reached}: data moves slower than ${facts.level ?? "memory"} allows, so the core waits on single misses or on dependent arithmetic`,
      advice: [
        "more independent loads in flight: several streams, wider vectors, software prefetch",
        "break the accumulation into several chains",
        "fewer passes over the data",
      ],
    };
  }
  if (share !== undefined && facts.bound === "compute") {
    return {
      bottleneck: "compute",
      evidence: `${reached}, ${(facts.intensity ?? 0).toFixed(1)} operations a byte`,
      advice:
        share > 0.6
          ? [
              "near the multiply-add peak of one core: use more cores, or fewer operations (algebra, lower rank, skipping)",
            ]
          : [
              "keep a block of the result in registers (for example 6x16 floats with AVX2) so that each load feeds several multiply-adds",
              "pack operands so that the inner loop reads contiguous, aligned vectors",
              "enough independent chains to cover the latency of four to five cycles on two units",
            ],
    };
  }
  return {
    bottleneck: "unknown",
    evidence: "nothing measured yet tells what limits it",
    advice: ["profile it: kernel_profile"],
  };
}
