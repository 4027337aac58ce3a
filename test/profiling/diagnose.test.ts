import { describe, expect, it } from "vitest";
import { type DiagnosisFacts, diagnose } from "../../src/profiling/index.ts";

const hot = {
  line: 12,
  share: 0.8,
  basis: "time",
  vectorised: false,
  reason: "not vectorised: aliasing",
} as const;

describe("the bottleneck", () => {
  it.each<[string, DiagnosisFacts, string, RegExp]>([
    ["nothing is known", {}, "unknown", /nothing measured yet/],
    [
      "a call of a microsecond",
      { medianNs: 900, roofline: 0.1, bound: "memory" },
      "launch",
      /one call takes 900 ns/,
    ],
    [
      "mispredicted branches",
      {
        medianNs: 1e6,
        metrics: { branch_mispredict_rate: 0.2, branches_per_instruction: 0.2 },
        roofline: 0.1,
        bound: "compute",
      },
      "branch",
      /20 % of the branches/,
    ],
    [
      "a scalar hot loop",
      { medianNs: 1e6, roofline: 0.1, bound: "memory", level: "DRAM", hot },
      "unvectorised",
      /line 12 has 80 % of the time; its loop is not vectorised: aliasing/,
    ],
    [
      "cache misses",
      { medianNs: 1e6, metrics: { last_level_misses_per_1000_instructions: 30 } },
      "memory",
      /30\.0 last-level cache misses/,
    ],
    [
      "near the memory roof",
      { medianNs: 1e6, roofline: 0.9, bound: "memory", level: "DRAM" },
      "memory",
      /90 % of the memory roof/,
    ],
    [
      "far below the memory roof",
      { medianNs: 1e6, roofline: 0.2, bound: "memory", level: "L2" },
      "latency",
      /only 20 % of the L2 memory roof/,
    ],
    [
      "below the compute roof",
      { medianNs: 1e6, roofline: 0.3, bound: "compute", intensity: 16, usesIntrinsics: true },
      "compute",
      /30 % .*16\.0 operations a byte/,
    ],
  ])("%s", (_name, facts, bottleneck, evidence) => {
    const found = diagnose(facts);
    expect(found.bottleneck).toBe(bottleneck);
    expect(found.evidence).toMatch(evidence);
    expect(found.advice.length).toBeGreaterThan(0);
  });

  it("does not blame scalar code for a kernel that has reached half of the roof, or that uses intrinsics", () => {
    const facts: DiagnosisFacts = { medianNs: 1e6, roofline: 0.7, bound: "memory", level: "DRAM", hot };
    expect(diagnose(facts).bottleneck).toBe("memory");
    expect(diagnose({ ...facts, roofline: 0.2, usesIntrinsics: true }).bottleneck).toBe("latency");
  });

  it("does not blame few branches, however badly predicted", () => {
    const metrics = { branch_mispredict_rate: 0.9, branches_per_instruction: 0.001 };
    expect(diagnose({ medianNs: 1e6, metrics, roofline: 0.9, bound: "compute" }).bottleneck).toBe("compute");
  });
});
