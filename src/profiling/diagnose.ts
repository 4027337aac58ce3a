import type { Diagnosis } from "../domain/index.ts";

/** The line on which most of the time (or, without samples, most instructions) went, and what the compiler said of its loop. */
export interface HotLine {
  readonly line: number;
  readonly share: number;
  readonly basis: "time" | "instructions";
  /** undefined: the compiler said nothing about the loop around it. */
  readonly vectorised: boolean | undefined;
  readonly reason: string | undefined;
}

/** What is known about one candidate's slowest timed workload; anything may be missing. */
export interface DiagnosisFacts {
  /** Share of the roofline reached, 0..1, and which roof it is. */
  readonly roofline?: number | undefined;
  readonly bound?: "memory" | "compute" | undefined;
  readonly level?: string | undefined;
  /** Operations a byte. */
  readonly intensity?: number | undefined;
  readonly medianNs?: number | undefined;
  /** Loops that the compiler vectorised, and lines where it told why not. */
  readonly vectorisedLoops?: number | undefined;
  readonly missed?: readonly { readonly line: number; readonly text: string }[] | undefined;
  readonly usesIntrinsics?: boolean | undefined;
  /** From a profiler: per instruction or per call. */
  readonly metrics?: Readonly<Record<string, number>> | undefined;
  readonly hot?: HotLine | undefined;
}

type Rule = (facts: DiagnosisFacts) => Diagnosis | undefined;

const percent = (share: number): string => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

function reached(facts: DiagnosisFacts): string {
  if (facts.roofline === undefined) return "";
  const roof = [facts.level === "DRAM" ? "" : facts.level, facts.bound].filter(Boolean).join(" ");
  return `${percent(facts.roofline)} of the ${roof} roof`.replace("  ", " ");
}

function joined(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("; ");
}

function hotText(facts: DiagnosisFacts): string {
  const { hot } = facts;
  if (hot === undefined || hot.share < 0.05) return "";
  const of = hot.basis === "time" ? "the time" : "the instructions";
  return `line ${hot.line} has ${percent(hot.share)} of ${of}`;
}

/** Below this a call is mostly entering and leaving: on every machine we know, a call into cold caches costs some hundred ns. */
const CALL_COSTS_NS = 2000;

const tooShort: Rule = (facts) => {
  if (facts.medianNs === undefined || facts.medianNs >= CALL_COSTS_NS) return undefined;
  return {
    bottleneck: "launch",
    evidence: `one call takes ${facts.medianNs.toFixed(0)} ns: fixed costs (call, loop set-up, first cache misses) are most of it`,
    advice: ["reduce set-up work and branches before the main loop", "give small shapes a path of their own"],
  };
};

const mispredicted: Rule = (facts) => {
  const rate = facts.metrics?.["branch_mispredict_rate"];
  const branches = facts.metrics?.["branches_per_instruction"] ?? 0;
  if (rate === undefined || rate <= 0.05 || branches <= 0.05) return undefined;
  return {
    bottleneck: "branch",
    evidence: joined(
      `${percent(rate)} of the branches are mispredicted, ${percent(branches)} of the instructions are branches`,
      hotText(facts),
    ),
    advice: [
      "replace data-dependent branches by masks, min/max or conditional moves",
      "sort or partition the work so that branches agree",
    ],
  };
};

const VECTORISE = [
  "make the inner loop contiguous in memory and free of dependences: restrict pointers, several accumulators, -ffast-math for reductions where the tolerance allows",
  "or write it with vector extensions or intrinsics (AVX2: 8 floats, AVX-512: 16)",
];

const scalar: Rule = (facts) => {
  if (facts.usesIntrinsics === true || (facts.roofline !== undefined && facts.roofline >= 0.5))
    return undefined;
  const { hot } = facts;
  if (hot?.vectorised === false) {
    return {
      bottleneck: "unvectorised",
      evidence: joined(hotText(facts), `its loop is ${hot.reason ?? "not vectorised"}`, reached(facts)),
      advice: VECTORISE,
    };
  }
  const perInstruction = facts.metrics?.["operations_per_instruction"];
  if (
    facts.bound === "compute" &&
    perInstruction !== undefined &&
    perInstruction > 0 &&
    perInstruction < 0.8
  ) {
    return {
      bottleneck: "unvectorised",
      evidence: joined(
        `${perInstruction.toFixed(2)} operations an instruction: scalar code, where a vector multiply-add does 16 or more`,
        hotText(facts),
        reached(facts),
      ),
      advice: VECTORISE,
    };
  }
  const first = facts.missed?.[0];
  if (facts.vectorisedLoops !== 0 || first === undefined || hot?.vectorised === true) return undefined;
  return {
    bottleneck: "unvectorised",
    evidence: joined(`the compiler vectorised no loop; line ${first.line}: ${first.text}`, reached(facts)),
    advice: VECTORISE,
  };
};

const missing: Rule = (facts) => {
  const rate = facts.metrics?.["last_level_misses_per_1000_instructions"];
  if (rate === undefined || rate <= 5) return undefined;
  return {
    bottleneck: "memory",
    evidence: joined(
      `${rate.toFixed(1)} last-level cache misses in 1,000 instructions`,
      reached(facts),
      hotText(facts),
    ),
    advice: [
      "block the loops so that a tile is used while it is in cache",
      "stream in address order so that the prefetchers follow",
      "fuse passes over the same data",
    ],
  };
};

const memoryRoof: Rule = (facts) => {
  if (facts.roofline === undefined || facts.bound !== "memory") return undefined;
  const level = facts.level ?? "memory";
  if (facts.roofline > 0.6) {
    return {
      bottleneck: "memory",
      evidence: joined(
        `${reached(facts)} (${level} bandwidth): little is left without moving fewer bytes`,
        hotText(facts),
      ),
      advice: [
        "fuse with what comes before or after",
        "use all cores: one core seldom fills the memory's bandwidth",
        "prefetch ahead by some hundred nanoseconds of work",
      ],
    };
  }
  return {
    bottleneck: "latency",
    evidence: joined(
      `only ${reached(facts)}: data moves slower than ${level} allows, so the core waits on single misses or on dependent arithmetic`,
      hotText(facts),
    ),
    advice: [
      "more independent loads in flight: several streams, wider vectors, software prefetch",
      "break the accumulation into several chains",
      "fewer passes over the data",
    ],
  };
};

const computeRoof: Rule = (facts) => {
  if (facts.roofline === undefined || facts.bound !== "compute") return undefined;
  return {
    bottleneck: "compute",
    evidence: joined(
      `${reached(facts)}, ${(facts.intensity ?? 0).toFixed(1)} operations a byte`,
      hotText(facts),
    ),
    advice:
      facts.roofline > 0.6
        ? ["near the multiply-add peak: use more cores, or fewer operations (algebra, lower rank, skipping)"]
        : [
            "keep a block of the result in registers (for example 6x16 floats with AVX2) so that each load feeds several multiply-adds",
            "pack operands so that the inner loop reads contiguous, aligned vectors",
            "enough independent chains to cover the latency of four to five cycles on two units",
          ],
  };
};

/** The order matters: a call of a microsecond is overhead whatever else; then what a profiler or the compiler saw; then the roofline. */
const RULES: readonly Rule[] = [tooShort, mispredicted, scalar, missing, memoryRoof, computeRoof];

/** Names the bottleneck with the figures that say so, and what is usually done about it. */
export function diagnose(facts: DiagnosisFacts): Diagnosis {
  for (const rule of RULES) {
    const found = rule(facts);
    if (found !== undefined) return found;
  }
  return {
    bottleneck: "unknown",
    evidence: joined("nothing measured yet tells what limits it", hotText(facts)),
    advice: ["profile it: kernel_profile"],
  };
}
