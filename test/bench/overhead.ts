import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServices } from "../../src/app/services.ts";
import type { WorkContext } from "../../src/domain/index.ts";
import { kernelHeader, shimSource } from "../../src/problems/native.ts";
import { median, printTable, saveResult } from "./table.ts";

const ROUNDS = 9;
const context: WorkContext = { signal: new AbortController().signal, report: () => undefined };

const source = (round: number): string => `// ke:flags -O3 -march=native
// round ${round}
#include "kernel.h"
void kernel(const float *A, const float *B, float *C, int64_t M, int64_t N, int64_t K) {
  for (int64_t i = 0; i < M; i++) {
    for (int64_t j = 0; j < N; j++) C[i * N + j] = 0;
    for (int64_t k = 0; k < K; k++)
      for (int64_t j = 0; j < N; j++) C[i * N + j] += A[i * K + k] * B[k * N + j];
  }
}
`;

/** kernel_evaluate against the bare cost of the same gcc command and the time spent inside the timed calls themselves. */
export async function overhead(): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "kernelevolve-bench-"));
  const services = createServices(home);
  try {
    const problem = await services.problems.get("matmul");
    const options = { workloads: ["square-192"], benchmark_seconds: 2 };
    const evaluate = (round: number, use_cache: boolean) =>
      services.evaluations.evaluate(
        { source: source(round), problem, target: "cpu-x86-64", abstraction: "c" },
        { ...options, use_cache },
        context,
      );
    await evaluate(-1, false);
    const ratios: number[] = [];
    const cached: number[] = [];
    const rows: Record<string, number>[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const folder = mkdtempSync(join(tmpdir(), "kernelevolve-bench-gcc-"));
      writeFileSync(join(folder, "kernel.c"), source(round));
      writeFileSync(join(folder, "kernel.h"), kernelHeader(problem.definition));
      writeFileSync(join(folder, "shim.c"), shimSource(problem.definition));
      const compiling = performance.now();
      const flags = ["-O3", "-march=native", "-fopt-info-vec-optimized", "-fopt-info-vec-missed"];
      spawnSync(
        "gcc",
        [
          "-std=gnu17",
          "-shared",
          "-fPIC",
          "-I",
          folder,
          ...flags,
          "-o",
          "out.so",
          "kernel.c",
          "shim.c",
          "-lm",
        ],
        { cwd: folder, stdio: "ignore" },
      );
      const gcc = performance.now() - compiling;
      rmSync(folder, { recursive: true, force: true });
      const started = performance.now();
      const record = await evaluate(round, false);
      const total = performance.now() - started;
      const timed = (record.stages.benchmark?.workloads ?? []).reduce((sum, one) => {
        const sides = [one.candidate, ...Object.values(one.baselines)];
        // The control is one more copy of the first baseline.
        const control = one.baselines["reference"];
        return (
          sum +
          [...sides, ...(control === undefined ? [] : [control])].reduce(
            (part, side) => part + (side.median_ns * side.samples) / 1e6,
            0,
          )
        );
      }, 0);
      const again = performance.now();
      await evaluate(round, true);
      await evaluate(round, true);
      cached.push((performance.now() - again) / 2);
      ratios.push(total / (gcc + timed));
      rows.push({
        gcc_ms: Math.round(gcc),
        timed_calls_ms: Math.round(timed),
        evaluate_ms: Math.round(total),
        ratio: Number((total / (gcc + timed)).toFixed(2)),
      });
    }
    printTable("Overhead of kernel_evaluate (matmul 192)", rows);
    process.stdout.write(
      `median ratio ${median(ratios).toFixed(2)}; cached repeat ${median(cached).toFixed(1)} ms\n`,
    );
    saveResult("overhead", {
      rows,
      median_ratio: Number(median(ratios).toFixed(3)),
      cached_repeat_ms: Number(median(cached).toFixed(2)),
    });
  } finally {
    await services.close();
    rmSync(home, { recursive: true, force: true });
  }
}
