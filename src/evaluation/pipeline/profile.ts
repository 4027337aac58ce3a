import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { KernelEvolveError, type ProfileStage, type WorkContext } from "../../domain/index.ts";
import { probeSandbox } from "../../platform/sandbox-probe.ts";
import { which } from "../../platform/which.ts";
import type { ResolvedWorkload } from "../../problems/native.ts";
import { parseCallgrind, parsePerfStat, perfMetrics } from "../../profiling/index.ts";
import { countersWork, type Machine } from "../../targets/index.ts";
import type { Compiled } from "../compile/compiler.ts";
import { workloadLines } from "../native/job.ts";
import { nativePrograms } from "../native/programs.ts";
import { readOutput, runSandboxed, withJobFolder } from "../sandbox/run.ts";

const EVENTS = "instructions:u,cycles:u,branches:u,branch-misses:u,cache-references:u,cache-misses:u";

export interface Profiled {
  readonly profiler: string;
  readonly method: ProfileStage["method"];
  readonly metrics: Record<string, number>;
  readonly hotLines: readonly { line: number; share: number }[];
  readonly raw: string;
}

/**
 * Watches one call of the candidate on one workload: hardware counters where the machine has them, else simulation.
 * The process watched is the candidate's own (no judge), in the sandbox.
 * @throws missing_tool when no profiler can be used, unsupported when the simulator cannot run the code.
 */
export async function profileOnce(
  object: Compiled,
  workload: ResolvedWorkload,
  sourceFile: string,
  machine: Machine,
  context: WorkContext,
): Promise<Profiled> {
  const programs = await nativePrograms();
  const probe = await probeSandbox();
  const hardware = await countersWork();
  const profiler = hardware ? which("perf") : which("valgrind");
  if (profiler === undefined) {
    throw new KernelEvolveError(
      "missing_tool",
      "no profiler can be used: perf has no hardware counters here and valgrind is not installed",
      {
        fix: "apt-get install valgrind",
      },
    );
  }
  return await withJobFolder(async (folder, uid) => {
    const inside = probe.bwrap === undefined ? folder : "/w";
    copyFileSync(programs.once, join(folder, "ke-once"));
    copyFileSync(object.object, join(folder, "kernel.so"));
    const job = ["ke-job 1", "mode once", "seed 5eed", ...workloadLines(workload), "end", ""].join("\n");
    writeFileSync(join(folder, "job"), job, { mode: 0o644 });
    const run = [`${inside}/ke-once`, `${inside}/job`, `${inside}/kernel.so`];
    const size = (level: string, ways: number, fallback: number): string =>
      `${powerOfTwo(machine.memory[level] ?? fallback)},${ways},64`;
    const argv = hardware
      ? [profiler, "stat", "-x", ",", "-e", EVENTS, ...run, "20"]
      : [
          profiler,
          "--tool=callgrind",
          `--callgrind-out-file=${inside}/profile`,
          "--collect-atstart=no",
          "--toggle-collect=ke_region_of_interest",
          "--cache-sim=yes",
          "--branch-sim=yes",
          "--dump-line=yes",
          `--D1=${size("L1", 8, 32768)}`,
          `--LL=${size("L3", 16, 8 << 20)}`,
          ...run,
          "1",
        ];
    const result = await runSandboxed({
      argv,
      jobFolder: folder,
      uid,
      limits: { cpuSeconds: 120, addressSpaceBytes: 8 * 2 ** 30, fileBytes: 64 << 20, processes: 32 },
      timeoutMs: 120_000,
      signal: context.signal,
    });
    if (context.signal.aborted) throw new KernelEvolveError("cancelled", "profiling was cancelled");
    if (hardware) {
      const metrics = perfMetrics(parsePerfStat(result.stderr));
      if (metrics["instructions"] === undefined)
        throw new KernelEvolveError("infrastructure", `perf counted nothing: ${result.stderr.slice(0, 300)}`);
      return { profiler: "perf", method: "hardware counters", metrics, hotLines: [], raw: result.stderr };
    }
    const raw = readOutput(join(folder, "profile"), 64 << 20)?.toString("utf8") ?? "";
    const parsed = parseCallgrind(raw, sourceFile);
    if (parsed === undefined) {
      const illegal = /SIGILL|unhandled instruction|Illegal opcode/i.test(result.stderr);
      throw new KernelEvolveError(
        illegal ? "unsupported" : "infrastructure",
        illegal
          ? "valgrind cannot execute this code's instructions (AVX-512)"
          : `callgrind counted nothing: ${result.stderr.slice(-400)}`,
      );
    }
    return {
      profiler: "callgrind",
      method: "simulated instructions and cache",
      metrics: parsed.metrics,
      hotLines: parsed.hotLines,
      raw,
    };
  });
}

/** Callgrind's caches have sizes that are powers of two. */
function powerOfTwo(bytes: number): number {
  return 2 ** Math.round(Math.log2(bytes));
}
