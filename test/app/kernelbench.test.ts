import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  candidateFor,
  type KernelBenchRow,
  kernelBenchProblems,
  kernelBenchScores,
  runKernelBench,
} from "../../src/app/kernelbench.ts";
import { createServices } from "../../src/app/services.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "kernelevolve-kb-"));
  for (const [level, names] of [
    ["level1", ["2_B.py", "10_C.py", "1_A.py", "README.md"]],
    ["level2", ["1_D.py"]],
  ] as const) {
    mkdirSync(join(root, "KernelBench", level), { recursive: true });
    for (const name of names) writeFileSync(join(root, "KernelBench", level, name), "");
  }
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("problems come by level and number, from a checkout or its inner folder", () => {
  const names = ["1_A", "2_B", "10_C", "1_D"];
  expect(kernelBenchProblems(root, [1, 2]).map((one) => one.name)).toEqual(names);
  expect(kernelBenchProblems(join(root, "KernelBench"), [1, 2]).map((one) => one.name)).toEqual(names);
  expect(() => kernelBenchProblems(join(root, "KernelBench", "level1"), [1])).toThrow(/no folder level1/);
  expect(() => kernelBenchProblems(root, [3])).toThrow(/no such level/);
});

test("a candidate is found by name, by number, or as KernelBench's scripts name it", () => {
  const [a, b, c, d] = kernelBenchProblems(root, [1, 2]);
  if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error("missing");
  const folder = join(root, "mine");
  mkdirSync(join(folder, "level1"), { recursive: true });
  for (const name of [
    "level1/1_A.py",
    "level1/2_other.py",
    "level1/10_C.cu",
    "level_2_problem_1_sample_0_kernel.py",
  ])
    writeFileSync(join(folder, name), "");
  expect(candidateFor(a, folder)).toBe(join(folder, "level1", "1_A.py"));
  expect(candidateFor(b, folder)).toBe(join(folder, "level1", "2_other.py"));
  expect(candidateFor(c, folder)).toBe(join(folder, "level1", "10_C.cu"));
  expect(candidateFor(c, join(root, "nothing"))).toBeUndefined();
  expect(candidateFor(d, folder)).toBe(join(folder, "level_2_problem_1_sample_0_kernel.py"));
});

test("what the machine lacks for all of them is said at the first, not in every row", async () => {
  const services = createServices(join(root, "home"));
  try {
    const work = { signal: new AbortController().signal, report: () => undefined };
    const problems = kernelBenchProblems(root, [1]);
    const model = `import torch
class Model(torch.nn.Module):
    def forward(self, x): return x + 1
def get_inputs(): return [torch.randn(3)]
def get_init_inputs(): return []
`;
    for (const { path } of problems) writeFileSync(path, model);
    const rows: KernelBenchRow[] = [];
    const onRow = (one: KernelBenchRow): void => {
      rows.push(one);
    };
    const options = { seconds: 1, verifyOnly: true, modelItself: true, candidates: undefined, onRow };
    await expect(
      // A target that nothing is run on, and that takes no PyTorch module as a candidate.
      runKernelBench(problems, { ...options, target: "amd-mi300x" }, services, work),
    ).rejects.toMatchObject({ code: "unsupported", fix: "use one of triton" });
    expect(rows).toEqual([]);
  } finally {
    await services.close();
  }
}, 240_000);

const row = (part: Partial<KernelBenchRow>): KernelBenchRow => ({
  level: 1,
  problem: "p",
  candidate: "c",
  verdict: "passed",
  status: "ok",
  reason: null,
  degenerate: false,
  speedups: [],
  evaluation: null,
  ...part,
});
const speedup = (ratio: number, low: number) => ({
  baseline: "eager",
  ratio,
  low,
  high: ratio * 1.1,
  credited: true,
});

test("the score counts by the interval's lower end, missing candidates as wrong, degenerate problems apart", () => {
  const rows = [
    row({ speedups: [speedup(4, 3.9)] }),
    row({ speedups: [speedup(1.02, 0.99)] }),
    row({ verdict: "rejected", status: "wrong_answer" }),
    row({ verdict: "missing", status: "missing", candidate: null }),
    row({ degenerate: true, speedups: [speedup(50, 40)] }),
    row({ level: 2, speedups: [speedup(1, 0.97)] }),
  ];
  const [one, two, all] = kernelBenchScores(rows);
  expect(one).toMatchObject({ level: 1, problems: 4, correct: 2, fast_1: 0.25, fast_2: 0.25, degenerate: 1 });
  expect(one?.geometric_mean).toBeCloseTo(Math.sqrt(4 * 1.02));
  expect(two).toMatchObject({ level: 2, problems: 1, correct: 1, fast_1: 0 });
  expect(all).toMatchObject({ level: "all", problems: 5, correct: 3, fast_1: 0.2 });
  expect(kernelBenchScores([row({ verdict: "rejected" })])[0]?.geometric_mean).toBeNull();
});
