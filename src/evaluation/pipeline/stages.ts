import { tmpdir } from "node:os";
import { join } from "node:path";
import type { WorkContext } from "../../domain/index.ts";
import { probeSandbox } from "../../platform/sandbox-probe.ts";
import type { ResolvedWorkload } from "../../problems/native.ts";
import type { Compiled } from "../compile/compiler.ts";
import type { JudgeEvent } from "../native/events.ts";
import type { JudgeJob } from "../native/job.ts";
import { runJudge } from "../native/judge.ts";
import { nativePrograms } from "../native/programs.ts";
import { makeControlGroup } from "../sandbox/cgroup.ts";
import { hostSandbox } from "../sandbox/profile.ts";
import { sandboxUid } from "../sandbox/run.ts";
import type { References } from "./prepare.ts";

/** Hidden transforms and their plain trials: one round through them all (tools/native/verify.c). */
const TRIALS = 8;
const CALL_SECONDS = 10;
const MEMORY_BYTES = 4 * 2 ** 30;

/** The machine-wide lock that timing holds: one for each device, whatever data home a server uses. */
export function deviceLock(target: string): string {
  return join(tmpdir(), `kernelevolve-device-${target}.lock`);
}

export interface JudgeInput {
  readonly candidate: Compiled | undefined;
  readonly references: References;
  readonly workloads: readonly ResolvedWorkload[];
  readonly threads: number;
  readonly cache: "cold" | "warm";
  readonly target: string;
  /** Of the whole stage; shared among the timed workloads. */
  readonly benchmarkSeconds: number;
}

/** Runs the judge in one mode with hosts confined as far as this machine allows; control groups are made and removed around it. */
export async function judge(
  mode: JudgeJob["mode"],
  input: JudgeInput,
  context: WorkContext,
): Promise<JudgeEvent[]> {
  const probe = await probeSandbox();
  const programs = await nativePrograms();
  const timed = input.workloads.filter((workload) => workload.role === "timed").length;
  const tensors = Math.max(0, ...input.workloads.map((workload) => workload.bytes));
  const group = makeControlGroup(MEMORY_BYTES + 8 * tensors, 512);
  const budgetSeconds = input.benchmarkSeconds / Math.max(1, timed);
  try {
    const job: JudgeJob = {
      mode,
      host: programs.host,
      oracle: input.references.oracle.object,
      candidate: input.candidate?.object ?? input.references.oracle.object,
      baselines: input.references.baselines.map((baseline) => ({
        name: baseline.name,
        path: baseline.object.object,
      })),
      sandbox: hostSandbox(probe, programs.host),
      cgroups: group.procs,
      uid: probe.root ? sandboxUid() : 0,
      threads: input.threads,
      limits: { addressSpaceBytes: 2 * 2 ** 30, cpuSeconds: 600, fileBytes: 1 << 20 },
      callSeconds: CALL_SECONDS,
      lock: deviceLock(input.target),
      cache: input.cache,
      trials: TRIALS,
      budgetSeconds,
      targetWidth: 0.02,
      generations: { min: 4, max: 12 },
      workloads: input.workloads,
    };
    // Each workload may take its budget, the slowest allowed calls of a last generation, and the wait for the device.
    const seconds =
      mode === "benchmark"
        ? 600 + input.benchmarkSeconds * 4
        : 60 + input.workloads.length * TRIALS * CALL_SECONDS * 3;
    return await runJudge(job, seconds * 1000, context);
  } finally {
    await group.remove();
  }
}
