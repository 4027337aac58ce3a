import { describe, expect, it } from "vitest";
import { simulatedCache } from "../../src/profiling/callgrind.ts";
import {
  needsPortable,
  parseCallgrind,
  parsePerfStat,
  parseSamples,
  perCall,
  perfMetrics,
  portableFlags,
  unknownInstruction,
} from "../../src/profiling/index.ts";

/** Two functions in two files, a call between them, positions relative and repeated: the format as callgrind writes it. */
const CALLGRIND = `# callgrind format
version: 1
positions: line
events: Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw Bc Bcm Bi Bim

fl=(1) /w/kernel.c
fn=(1) kernel
10 100 40 10 0 4 1 0 2 0 20 1
+2 300 100 0 0 12 0 0 6 0 30 3
* 50 0 0 0 0 0 0 0 0 0 0
cfi=(2) /usr/lib/math.c
cfn=(2) exp
calls=5 99
-1 900 0 0 0 0 0 0 0 0 0 0
fe=(2)
33 70 10
fi=(1)
+7 80 20

totals: 600 170 10 0 16 1 0 8 0 50 4 0 0
`;

describe("callgrind", () => {
  it("reads totals as rates, and the cost of each line of the kernel without what it called", () => {
    const profile = parseCallgrind(CALLGRIND, "kernel.c");
    expect(profile?.metrics).toMatchObject({
      instructions: 600,
      loads: 170,
      stores: 10,
      l1_misses_per_1000_instructions: (1000 * 17) / 600,
      last_level_misses_per_1000_instructions: (1000 * 8) / 600,
      branches_per_instruction: 50 / 600,
      branch_mispredict_rate: 4 / 50,
    });
    expect(profile?.lines).toEqual([
      { line: 12, share: 350 / 600, missShare: 12 / 17 },
      { line: 10, share: 100 / 600, missShare: 5 / 17 },
      { line: 40, share: 80 / 600, missShare: 0 },
    ]);
  });

  it("says so when nothing was counted, and does not take another file for the kernel's", () => {
    expect(parseCallgrind("events: Ir Dr\ntotals: 0 0\n", "kernel.c")).toBeUndefined();
    expect(parseCallgrind("", "kernel.c")).toBeUndefined();
    expect(parseCallgrind(CALLGRIND, "ernel.c")?.lines).toEqual([]);
  });

  it.each([
    [32 << 10, "32768,8,64"],
    [48 << 10, "49152,12,64"],
    [30 << 20, "31457280,15,64"],
    [1_000_000, "1048576,8,64"],
  ])("a cache of %i bytes is simulated as %s", (bytes, text) => {
    expect(simulatedCache(bytes)).toBe(text);
    const [size = 0, ways = 1, line = 1] = text.split(",").map(Number);
    expect(Math.log2(size / ways / line) % 1).toBe(0);
  });

  it("knows the simulator's words for an instruction that it cannot execute", () => {
    expect(unknownInstruction("vex amd64->IR: unhandled instruction bytes: 0x62 0xF1 0x7C 0x48")).toBe(true);
    expect(unknownInstruction("==1== ERROR SUMMARY: 0 errors")).toBe(false);
  });
});

describe("perf", () => {
  const STAT = `# started on Mon
1200000,,instructions:u,1000,100.00,,
400000,,cycles:u,1000,100.00,3.00,insn per cycle
<not supported>,,cache-misses:u,0,100.00,,
100000,,branches:u,1000,100.00,,
6000,,branch-misses:u,1000,100.00,,
`;

  it("leaves out what the machine does not count", () => {
    const counts = parsePerfStat(STAT);
    expect(counts).toEqual({
      instructions: 1_200_000,
      cycles: 400_000,
      branches: 100_000,
      branch_misses: 6000,
    });
    const metrics = perfMetrics(counts);
    expect(metrics).toMatchObject({ instructions_per_cycle: 3, branch_mispredict_rate: 0.06 });
    expect(metrics).not.toHaveProperty("last_level_misses_per_1000_instructions");
  });

  it("takes the cost of starting away, and drops a counter that shrank", () => {
    expect(
      perCall(
        { instructions: 100, cycles: 50, branches: 9 },
        { instructions: 1100, cycles: 40, branches: 19 },
        10,
      ),
    ).toEqual({
      instructions: 100,
      branches: 1,
    });
  });

  it("tells samples inside the kernel's object from the rest", () => {
    const script = [
      "            7f01 (/tmp/kernel.so)",
      "  kernel.c:12",
      "            7f02 (/tmp/kernel.so)",
      "  /w/kernel.c:12",
      "            7f03 (/tmp/kernel.so)",
      "  kernel.c:14",
      "            7f04 (/usr/lib/libm.so.6)",
      "  kernel.c:99",
      "            7f05 (/tmp/otherkernel.so)",
      "  kernel.c:98",
    ].join("\n");
    expect(parseSamples(script, "kernel.so", "kernel.c")).toEqual({
      inside: 3,
      elsewhere: 2,
      lines: [
        { line: 12, share: 2 / 3 },
        { line: 14, share: 1 / 3 },
      ],
    });
    expect(parseSamples("", "kernel.so", "kernel.c")).toBeUndefined();
  });
});

describe("a build that the simulator can run", () => {
  it.each([
    [["-O3", "-march=native"], ["avx512f"], true],
    [["-O3", "-march=native"], ["avx2"], false],
    [["-march=znver4"], [], true],
    [["-march=x86-64-v3"], ["avx512f"], false],
    [["-mavx512bw"], [], true],
    [["-O3"], ["avx512f"], false],
  ])("%j with %j needs another: %s", (flags, machine, needs) => {
    expect(needsPortable(flags, new Set(machine))).toBe(needs);
  });

  it("keeps every other flag", () => {
    expect(portableFlags(["-O3", "-march=native", "-mtune=znver4", "-mavx512f", "-ffast-math"])).toEqual([
      "-O3",
      "-march=x86-64-v3",
      "-ffast-math",
    ]);
  });
});
