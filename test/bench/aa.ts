import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServices } from "../../src/app/services.ts";
import type { EvaluationRecord, Problem, Services } from "../../src/domain/index.ts";
import { makeProblem } from "../../src/problems/index.ts";
import { printTable, saveResult } from "./table.ts";

/** Sum of rows with a chosen share of rows done twice, as the problem's own reference and as candidates. */
const BODY = (share: number, real: string): string => `#include "kernel.h"
static ${real} row(const ${real} *x, int64_t N) {
  ${real} sum = 0;
  for (int64_t j = 0; j < N; j++) sum += x[j];
  return sum;
}
void kernel(const ${real} *x, ${real} *y, int64_t M, int64_t N) {
  volatile ${real} sink = 0;
  for (int64_t i = 0; i < M; i++) y[i] = row(x + i * N, N);
  for (int64_t i = 0; i < M * ${Math.round(share * 1000)} / 1000; i++) sink += row(x + i * N, N);
}
`;

function sameKernelProblem(): Problem {
  return makeProblem(
    {
      name: "aa-row-sum",
      op_type: "row-reduction",
      axes: { M: { type: "var" }, N: { type: "var" } },
      inputs: { x: { shape: ["M", "N"], dtype: "float32" } },
      outputs: { y: { shape: ["M"], dtype: "float32" } },
      reference_c: BODY(0, "real_t"),
    },
    [{ uuid: "w", axes: { M: 400, N: 1000 }, inputs: {}, role: "timed" }],
    { source: "registered", cache: "warm" },
  );
}

async function measure(
  services: Services,
  problem: Problem,
  share: number,
  run: number,
  seconds: number,
): Promise<EvaluationRecord> {
  const source = `// ke:flags -O2\n// run ${run}\n${BODY(share, "float")}`;
  return await services.evaluations.evaluate(
    { source, problem, target: "cpu-x86-64", abstraction: "c" },
    {
      stages: ["compile", "verify", "benchmark"],
      baselines: ["reference"],
      benchmark_seconds: seconds,
      use_cache: false,
    },
    { signal: new AbortController().signal, report: () => undefined },
  );
}

async function withBusyCore<T>(busy: boolean, work: (services: Services) => Promise<T>): Promise<T> {
  const home = mkdtempSync(join(tmpdir(), "kernelevolve-bench-"));
  const spinner = busy ? spawn(process.execPath, ["-e", "for(;;);"], { stdio: "ignore" }) : undefined;
  const services = createServices(home);
  try {
    return await work(services);
  } finally {
    spinner?.kill("SIGKILL");
    await services.close();
    rmSync(home, { recursive: true, force: true });
  }
}

/** The same kernel as candidate and baseline with one core kept busy: how often the interval holds 1, and whether a speedup is claimed. */
export async function aa(runs = 100, seconds = 2): Promise<void> {
  const outcome = await withBusyCore(true, async (services) => {
    const problem = sameKernelProblem();
    const seen = {
      runs: 0,
      contains_one: 0,
      credited_above_1_03: 0,
      too_noisy: 0,
      half_widths: [] as number[],
    };
    for (let run = 0; run < runs; run += 1) {
      const record = await measure(services, problem, 0, run, seconds);
      const speedup = record.speedups[0];
      seen.runs += 1;
      if (record.status === "too_noisy") seen.too_noisy += 1;
      if (speedup === undefined) continue;
      if (speedup.low <= 1 && speedup.high >= 1) seen.contains_one += 1;
      if (speedup.credited && speedup.ratio > 1.03) seen.credited_above_1_03 += 1;
      seen.half_widths.push((speedup.high - speedup.low) / 2 / speedup.ratio);
    }
    return seen;
  });
  const widths = outcome.half_widths.toSorted((a, b) => a - b);
  const row = {
    runs: outcome.runs,
    "interval contains 1": outcome.contains_one,
    "credited above 1.03": outcome.credited_above_1_03,
    "too noisy": outcome.too_noisy,
    "median half width %": Number((100 * (widths[Math.floor(widths.length / 2)] ?? Number.NaN)).toFixed(2)),
  };
  printTable("A/A: the same kernel as candidate and baseline, one core kept busy", [row]);
  saveResult("aa", row);
}

/** A kernel with 5 % more work than its baseline: told apart, too noisy, or the wrong sign. */
export async function sensitivity(runs = 100, seconds = 2): Promise<void> {
  const outcome = await withBusyCore(false, async (services) => {
    const problem = sameKernelProblem();
    const seen = { runs: 0, slower: 0, undecided: 0, wrong_sign: 0, ratios: [] as number[] };
    for (let run = 0; run < runs; run += 1) {
      const record = await measure(services, problem, 0.05, run, seconds);
      const speedup = record.speedups[0];
      seen.runs += 1;
      if (speedup === undefined || record.status === "too_noisy") seen.undecided += 1;
      else if (speedup.high < 1) seen.slower += 1;
      else if (speedup.low > 1) seen.wrong_sign += 1;
      else seen.undecided += 1;
      if (speedup !== undefined) seen.ratios.push(speedup.ratio);
    }
    return seen;
  });
  const ratios = outcome.ratios.toSorted((a, b) => a - b);
  const row = {
    runs: outcome.runs,
    "told slower": outcome.slower,
    "no claim": outcome.undecided,
    "wrong sign": outcome.wrong_sign,
    "median ratio (true 0.952)": Number((ratios[Math.floor(ratios.length / 2)] ?? Number.NaN).toFixed(4)),
  };
  printTable("Sensitivity: 5 % more work", [row]);
  saveResult("sensitivity", row);
}
