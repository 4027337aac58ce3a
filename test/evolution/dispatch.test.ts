import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { EvaluationRecord } from "../../src/domain/evaluation.ts";
import { context, World } from "./fakes.ts";

/** The factor is a tunable, and the helper that uses it bears the same name in every kernel. */
const body = (factor: number): string => `// ke:flags -O1 ${factor % 2 === 0 ? "-flto" : ""} -mrecip=none,sqrt
// ke:tunable FACTOR int ${factor} {10,11,12}
#include "kernel.h"
float scaled(float x) { return FACTOR * x; }
void kernel(const float *x, float *y, int64_t N) { for (int64_t i = 0; i < N; i++) y[i] = scaled(x[i]); }
`;

/** The record with another speedup over the reference on each workload; 0: not credited. */
function withSpeedups(record: EvaluationRecord, ratios: Readonly<Record<string, number>>): EvaluationRecord {
  const benchmark = record.stages.benchmark;
  if (benchmark === undefined) throw new Error("a measured record is needed");
  const workloads = benchmark.workloads.map((one) => {
    const ratio = ratios[one.workload] ?? 0;
    const speedup = {
      baseline: "reference",
      ratio,
      low: ratio * 0.99,
      high: ratio * 1.01,
      credited: ratio > 0,
    };
    return { ...one, speedups: [speedup] };
  });
  return { ...record, stages: { ...record.stages, benchmark: { ...benchmark, workloads } } };
}

async function exported(ratios: readonly Readonly<Record<string, number>>[]) {
  const world = new World(() => ({ ratio: 3 }));
  const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
  for (const [index, workloads] of ratios.entries()) {
    const { claim } = await world.evolution.next(run.id, "tester");
    // The factor tells afterwards which kernel was called.
    const source = body(index + 10);
    const input = { run: run.id, claim: claim.id, source, rationale: "x */ #define y", proposer: "tester" };
    const { record } = await world.evolution.submit(input, context);
    world.evaluations.records.set(record.id, withSpeedups(record, workloads));
  }
  const folder = mkdtempSync(join(tmpdir(), "kernelevolve-dispatch-"));
  await world.evolution.export(run.id, folder, context);
  await world[Symbol.asyncDispose]();
  return join(folder, "dispatch");
}

/** Builds the library as a user would, and asks which kernel answers for each N. */
function answers(folder: string, sizes: readonly number[]): number[] {
  execFileSync("make", ["-s", "-C", folder], { stdio: "pipe" });
  const main = `#include "ke_scale.h"
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    int64_t n = atoll(argv[i]);
    float *x = calloc((size_t)n + 1, sizeof *x), *y = calloc((size_t)n + 1, sizeof *y);
    x[0] = 1;
    ke_scale(x, y, n);
    printf("%d\\n", (int)y[0]);
    free(x), free(y);
  }
}
`;
  writeFileSync(join(folder, "main.c"), main);
  execFileSync("gcc", ["-o", "main", "main.c", "libke_scale.a", "-lm"], { cwd: folder, stdio: "pipe" });
  const text = execFileSync(join(folder, "main"), sizes.map(String), { encoding: "utf8" });
  return text.trim().split("\n").map(Number);
}

it("calls the kernel that won at the nearest measured shape", async () => {
  const folder = await exported([
    { big: 5, small: 2 },
    { big: 4, small: 3 },
    { big: 1.2, small: 1.1 },
  ]);
  // 1,000,000 and 1,000 were measured; between them the nearer one in ratio decides.
  expect(answers(folder, [1_000_000, 2_000_000, 100_000, 1000, 1, 5000])).toEqual([10, 10, 10, 11, 11, 11]);
  expect(existsSync(join(folder, "kernel_3.c"))).toBe(false);
  rmSync(folder, { recursive: true });
});

it("falls back to the plain loop where no kernel is credited", async () => {
  const folder = await exported([{ big: 5, small: 0 }]);
  expect(answers(folder, [1_000_000, 1000, 1])).toEqual([10, 2, 2]);
  expect(readFileSync(join(folder, "ke_scale.h"), "utf8")).toContain("small (N=1000): the baseline");
  rmSync(folder, { recursive: true });
});

it("is not written when nothing won", async () => {
  expect(existsSync(await exported([{ big: 0, small: 0 }]))).toBe(false);
});
