import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Problem } from "../../src/domain/index.ts";
import { loadProblems } from "../../src/problems/index.ts";
import { type ResolvedWorkload, resolveWorkload } from "../../src/problems/native.ts";
import { type Call, errorOverTolerance, fill, numbers, Workbench } from "./native.ts";

const { problems, faults } = loadProblems();
const all = [...problems.values()];

/** What the Python references answer (golden.py), computed in double precision. */
const numberList = z.record(z.string(), z.array(z.number()));
const goldenSchema = z.object({
  problem: z.string(),
  workload: z.string(),
  inputs: numberList,
  outputs: numberList,
});
const golden = readFileSync(join(import.meta.dirname, "golden.jsonl"), "utf8")
  .trim()
  .split("\n")
  .map((line) => goldenSchema.parse(JSON.parse(line)));

/** The mean everywhere: what a candidate that learnt the law of large numbers would answer. */
function meanOf(expected: Float64Array): Float64Array {
  return new Float64Array(expected.length).fill(
    expected.reduce((sum, value) => sum + value, 0) / expected.length,
  );
}

const WANTED = [
  "argmax",
  "batched-event-truncation",
  "batched-matmul",
  "conv1d",
  "conv2d",
  "cumulative-sum",
  "gelu",
  "layer-norm",
  "mapid-transform",
  "matmul",
  "merge-bucketized-dense-transform",
  "pffn",
  "rms-norm",
  "row-reduction",
  "row-reduction-f64",
  "scaled-dot-product-attention",
  "softmax",
  "transpose",
  "wukong-fm",
];

describe("the shipped problems", () => {
  it("are these, without faults", () => {
    expect(faults).toEqual([]);
    expect([...problems.keys()].sort()).toEqual(WANTED);
  });

  it("exercise every element type that the harness must have", () => {
    const types = new Set(
      all.flatMap(({ definition }) =>
        [...Object.values(definition.inputs), ...Object.values(definition.outputs)].map((spec) => spec.dtype),
      ),
    );
    expect([...types]).toEqual(expect.arrayContaining(["float32", "float64", "int32", "int64"]));
  });

  describe.each(all.map((problem) => [problem.definition.name, problem] as const))("%s", (_name, problem) => {
    it("tells what it is", () => {
      const { definition } = problem;
      expect(definition.description?.length).toBeGreaterThan(10);
      expect(definition.reference).toMatch(/^def run\(/m);
      expect(definition.reference_c).toContain("void kernel(");
      expect(definition.cost).toBeDefined();
      for (const [axis, { description }] of Object.entries(definition.axes))
        expect(description, `axis ${axis}`).toBeDefined();
    });

    it("has two to four timed workloads and awkward ones beside them", () => {
      const timed = problem.workloads.filter((workload) => workload.role === "timed");
      const edge = problem.workloads.filter((workload) => workload.role === "edge");
      expect(timed.length).toBeGreaterThanOrEqual(2);
      expect(timed.length).toBeLessThanOrEqual(4);
      expect(edge.length).toBeGreaterThanOrEqual(2);
      const sizes = edge.map((workload) => Object.values(workload.axes));
      expect(
        sizes.some((axes) => axes.includes(1)),
        "an axis of one",
      ).toBe(true);
      expect(
        sizes.some((axes) => axes.includes(0)),
        "an empty axis",
      ).toBe(true);
      const prime = (n: number): boolean => n > 6 && ![2, 3, 5].some((d) => n % d === 0);
      expect(
        timed.some((workload) => Object.values(workload.axes).some(prime)),
        "a timed size that no tile divides",
      ).toBe(true);
    });

    it("costs something: operations or bytes, never less than its outputs", () => {
      for (const workload of problem.workloads) {
        const { flops, bytes, outputs } = resolveWorkload(problem.definition, workload);
        expect(flops).toBeGreaterThanOrEqual(0);
        expect(bytes).toBeGreaterThanOrEqual(outputs.reduce((sum, one) => sum + one.elements, 0));
      }
    });
  });
});

describe("references compiled", () => {
  let bench: Workbench;
  beforeAll(() => {
    bench = new Workbench();
  });
  afterAll(() => bench.close());

  const calls = (problem: Problem, keep: (workload: ResolvedWorkload) => boolean): Call[] => {
    const random = numbers(problem.definition.name.length);
    return problem.workloads
      .map((workload) => resolveWorkload(problem.definition, workload))
      .filter(keep)
      .map((workload) => ({ workload, inputs: workload.inputs.map((input) => fill(input, random)) }));
  };

  describe.each(all.map((problem) => [problem.definition.name, problem] as const))("%s", (_name, problem) => {
    const { definition } = problem;
    const source = definition.reference_c ?? "";

    it("agrees in the problem's type, as the compiler's best and as a candidate, with the oracle", () => {
      const oracle = bench.compile(definition, source, "oracle", ["-O2", "-DKE_REFERENCE", "-DKE_ORACLE"]);
      const every = calls(problem, () => true);
      const want = bench.call(oracle, true, every);
      const variants: [string, string[]][] = [
        ["reference", ["-O2", "-DKE_REFERENCE"]],
        ["compiler-best", ["-O3", "-march=native", "-ffast-math", "-funroll-loops", "-DKE_REFERENCE"]],
        ["candidate", ["-O1"]],
      ];
      for (const [variant, flags] of variants) {
        const got = bench.call(bench.compile(definition, source, variant, flags), false, every);
        every.forEach(({ workload }, at) => {
          workload.outputs.forEach((output, tensor) => {
            const expected = want[at]?.outputs[tensor] ?? new Float64Array();
            const found = got[at]?.outputs[tensor] ?? new Float64Array();
            expect(found.length).toBe(output.elements);
            expect(expected.every(Number.isFinite), `${workload.uuid}: the oracle is finite`).toBe(true);
            // Well inside: an honest kernel must have room to order its sums in another way.
            expect(
              errorOverTolerance(expected, found, output.tolerance),
              `${variant} ${workload.uuid} ${output.name}`,
            ).toBeLessThan(0.5);
          });
        });
      }
    });

    it("answers as its Python reference does", () => {
      const answers = golden.filter((answer) => answer.problem === definition.name);
      expect(answers.length).toBeGreaterThan(0);
      const known = answers.map((answer): Call => {
        const workload = problem.workloads.find(({ uuid }) => uuid === answer.workload);
        if (workload === undefined) throw new Error(`${answer.workload}: run golden.py again`);
        const resolved = resolveWorkload(definition, workload);
        return {
          workload: resolved,
          inputs: resolved.inputs.map(({ name }) => new Float64Array(answer.inputs[name] ?? [])),
        };
      });
      const oracle = bench.compile(definition, source, "oracle", ["-O2", "-DKE_REFERENCE", "-DKE_ORACLE"]);
      bench.call(oracle, true, known).forEach(({ outputs }, at) => {
        known[at]?.workload.outputs.forEach(({ name, elements }, tensor) => {
          const want = new Float64Array(answers[at]?.outputs[name] ?? []);
          const found = outputs[tensor] ?? new Float64Array();
          expect(found.length).toBe(elements);
          expect(want.length).toBe(elements);
          const exact = { rtol: 1e-12, atol_rms: 1e-12 };
          expect(errorOverTolerance(want, found, exact), `${answers[at]?.workload} ${name}`).toBeLessThan(1);
        });
      });
    });

    it("is not answered by an empty candidate", () => {
      const oracle = bench.compile(definition, source, "oracle", ["-O2", "-DKE_REFERENCE", "-DKE_ORACLE"]);
      const timed = calls(problem, (workload) => workload.role === "timed");
      const want = bench.call(oracle, true, timed);
      timed.forEach(({ workload, inputs }, at) => {
        const outputs = workload.outputs.map((output, tensor) => ({
          output,
          expected: want[at]?.outputs[tensor] ?? new Float64Array(),
        }));
        const nulls: [string, (expected: Float64Array) => Float64Array][] = [
          ["zeros", (expected) => expected.map(() => 0)],
          ["ones", (expected) => expected.map(() => 1)],
          ["mean", meanOf],
          ...inputs.map((data, index): [string, (expected: Float64Array) => Float64Array] => [
            `copy of ${workload.inputs[index]?.name}`,
            (expected) => expected.map((_, element) => data[element % data.length] ?? 0),
          ]),
        ];
        for (const [name, make] of nulls) {
          const passed = outputs.every(
            ({ output, expected }) => errorOverTolerance(expected, make(expected), output.tolerance) <= 1,
          );
          expect(passed, `${workload.uuid}: ${name}`).toBe(false);
        }
      });
    });
  });

  it("a C++ candidate sees the same interface", () => {
    const problem = problems.get("row-reduction");
    if (problem === undefined) throw new Error("row-reduction is missing");
    const source = `#include "kernel.h"
#include <numeric>
void kernel(const float *x, float *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) y[i] = (float)std::accumulate(x + i * N, x + (i + 1) * N, 0.0);
}`;
    const every = calls(problem, (workload) => workload.role === "edge");
    const oracle = bench.compile(problem.definition, problem.definition.reference_c ?? "", "oracle", [
      "-O2",
      "-DKE_REFERENCE",
      "-DKE_ORACLE",
    ]);
    const want = bench.call(oracle, true, every);
    const got = bench.call(bench.compile(problem.definition, source, "cpp", ["-O2"], "cpp"), false, every);
    every.forEach(({ workload }, at) => {
      const expected = want[at]?.outputs[0] ?? new Float64Array();
      const tolerance = workload.outputs[0]?.tolerance ?? { rtol: 0, atol_rms: 0 };
      expect(errorOverTolerance(expected, got[at]?.outputs[0] ?? new Float64Array(), tolerance)).toBeLessThan(
        1,
      );
    });
  });
});
