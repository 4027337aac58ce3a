import { chownSync, copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { KernelEvolveError, type WorkContext } from "../../domain/index.ts";
import { probeSandbox } from "../../platform/sandbox-probe.ts";
import type { ProcessResult } from "../../platform/subprocess.ts";
import type { ResolvedWorkload } from "../../problems/native.ts";
import {
  type CallgrindProfile,
  callgrindArgv,
  parseCallgrind,
  parsePerfStat,
  parseSamples,
  perCall,
  perfMetrics,
  perfRecordArgv,
  perfScriptArgv,
  perfStatArgv,
  type Samples,
  unknownInstruction,
} from "../../profiling/index.ts";
import type { Machine } from "../../targets/index.ts";
import type { Compiled } from "../compile/compiler.ts";
import { workloadLines } from "../native/job.ts";
import { nativePrograms } from "../native/programs.ts";
import { readOutput, runSandboxed, withJobFolder } from "../sandbox/run.ts";

const SECONDS = 120;
const MAX_PROFILE_BYTES = 64 << 20;
/** Long enough for some thousand samples, short enough not to be waited for. */
const SAMPLED_SECONDS = 0.5;
const MOST_CALLS = 20_000;
const LINE_SHOWN = 400;

export interface ProfileSubject {
  readonly object: Compiled;
  readonly workload: ResolvedWorkload;
  /** The candidate's file name in its debug information. */
  readonly file: string;
  readonly threads: number;
  readonly machine: Machine;
  /** How long one call takes, where it was measured. */
  readonly callNs: number | undefined;
}

/** One call of a kernel, watched by programs that look at the process it runs in; each answer is undefined where it could not be had. */
export interface Watcher {
  /** Counters of the processor, for one call. */
  counters(perf: string): Promise<Record<string, number> | undefined>;
  /** Where time goes. `hardware` tells whether the processor's own counter takes the samples. */
  samples(perf: string, hardware: boolean): Promise<Samples | undefined>;
  /** Instructions and caches simulated. @throws unsupported where the simulator does not know an instruction. */
  simulate(valgrind: string): Promise<{ profile: CallgrindProfile; raw: string }>;
}

/**
 * Gives `work` a watcher over `subject` in a job folder of its own. The process watched is the candidate's, in the sandbox, without
 * judge or oracle; of the folder it can write only the profilers' output files.
 */
export async function withWatcher<T>(
  subject: ProfileSubject,
  context: WorkContext,
  work: (watcher: Watcher) => Promise<T>,
): Promise<T> {
  const programs = await nativePrograms();
  const probe = await probeSandbox();
  const { workload } = subject;
  return await withJobFolder(async (folder, uid) => {
    const inside = probe.bwrap === undefined ? folder : "/w";
    copyFileSync(programs.once, join(folder, "ke-once"));
    copyFileSync(subject.object.object, join(folder, "kernel.so"));
    const job = ["ke-job 1", "mode once", "seed 5eed", ...workloadLines(workload), "end", ""].join("\n");
    writeFileSync(join(folder, "job"), job, { mode: 0o644 });

    const run = async (argv: string[], output: string, threads: number): Promise<ProcessResult> => {
      writeFileSync(join(folder, output), "", { mode: 0o644 });
      if (probe.root) chownSync(join(folder, output), uid, uid);
      const result = await runSandboxed({
        argv,
        jobFolder: folder,
        uid,
        limits: {
          cpuSeconds: SECONDS * Math.max(1, threads),
          addressSpaceBytes: 8 * 2 ** 30 + 4 * workload.bytes,
          memoryBytes: 4 * 2 ** 30 + 4 * workload.bytes,
          // The tensors are files in memory to the kernel.
          fileBytes: MAX_PROFILE_BYTES + 2 * workload.bytes,
          processes: 64,
        },
        timeoutMs: SECONDS * 1000,
        signal: context.signal,
        writable: [output],
        env: { OMP_NUM_THREADS: String(threads), OMP_WAIT_POLICY: "passive" },
      });
      if (context.signal.aborted) throw new KernelEvolveError("cancelled", "profiling was cancelled");
      return result;
    };
    const once = (calls: number): string[] => [
      `${inside}/ke-once`,
      `${inside}/job`,
      `${inside}/kernel.so`,
      String(calls),
    ];
    const read = (output: string): string =>
      readOutput(join(folder, output), MAX_PROFILE_BYTES)?.toString("utf8") ?? "";
    let calls: Promise<number> | undefined;
    /** As many calls as fill the time of a sampling run. */
    const repeats = (): Promise<number> => {
      calls ??= (async () => {
        let seconds = (subject.callNs ?? 0) / 1e9;
        if (seconds === 0) {
          const one = await run(once(1), "empty", subject.threads);
          const many = await run(once(11), "empty", subject.threads);
          seconds = (many.seconds - one.seconds) / 10;
        }
        seconds = Math.max(seconds, 1e-5);
        return Math.min(MOST_CALLS, Math.max(3, Math.round(SAMPLED_SECONDS / seconds)));
      })();
      return calls;
    };

    return await work({
      counters: async (perf) => {
        const more = await repeats();
        const count = async (n: number): Promise<Record<string, number>> => {
          await run(perfStatArgv(perf, `${inside}/counts`, once(n)), "counts", subject.threads);
          return parsePerfStat(read("counts"));
        };
        const counts = perCall(await count(1), await count(1 + more), more);
        return (counts["instructions"] ?? 0) > 0 ? perfMetrics(counts) : undefined;
      },
      samples: async (perf, hardware) => {
        const argv = perfRecordArgv(perf, `${inside}/samples`, hardware, once(await repeats()));
        const taken = await run(argv, "samples", subject.threads);
        if (taken.code !== 0) return undefined;
        const told = await runSandboxed({
          argv: perfScriptArgv(perf, `${inside}/samples`),
          jobFolder: folder,
          uid,
          limits: {
            cpuSeconds: SECONDS,
            addressSpaceBytes: 4 * 2 ** 30,
            memoryBytes: 2 * 2 ** 30,
            fileBytes: 1 << 20,
            processes: 16,
          },
          timeoutMs: SECONDS * 1000,
          signal: context.signal,
          cap: MAX_PROFILE_BYTES,
          writable: [],
        });
        return parseSamples(told.stdout, "kernel.so", subject.file);
      },
      simulate: async (valgrind) => {
        const argv = callgrindArgv(valgrind, once(1), {
          profile: `${inside}/profile`,
          watched: "ke_region_of_interest",
          l1: subject.machine.memory["L1"] ?? 32 << 10,
          lastLevel: subject.machine.memory["L3"] ?? subject.machine.memory["L2"] ?? 8 << 20,
        });
        // One thread: the simulator watches one, and counts of several are not repeatable.
        const result = await run(argv, "profile", 1);
        if (unknownInstruction(result.stderr)) {
          throw new KernelEvolveError(
            "unsupported",
            "valgrind does not know an instruction of this code (AVX-512?)",
          );
        }
        if (result.timedOut)
          throw new KernelEvolveError("unsupported", `the simulation of one call takes over ${SECONDS} s`, {
            fix: "profile a smaller workload",
          });
        const raw = read("profile");
        const profile = result.code === 0 ? parseCallgrind(raw, subject.file) : undefined;
        if (profile === undefined) {
          const ended = result.signal ?? `exit code ${result.code}`;
          throw new KernelEvolveError(
            "infrastructure",
            `callgrind counted nothing (${ended}): ${result.stderr.slice(-LINE_SHOWN)}`,
          );
        }
        return { profile, raw };
      },
    });
  });
}
