import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Definition,
  definitionSchema,
  type WorkContext,
  type Workload,
  workloadSchema,
} from "../../../src/domain/index.ts";
import type { Benchmarked, Graded, JudgeEvent, Verified } from "../../../src/evaluation/native/events.ts";
import type { JudgeJob } from "../../../src/evaluation/native/job.ts";
import { runJudge } from "../../../src/evaluation/native/judge.ts";
import { nativePrograms } from "../../../src/evaluation/native/programs.ts";
import { hostSandbox } from "../../../src/evaluation/sandbox/profile.ts";
import { sandboxUid } from "../../../src/evaluation/sandbox/run.ts";
import { sha256 } from "../../../src/platform/hash.ts";
import { probeSandbox, type SandboxProbe } from "../../../src/platform/sandbox-probe.ts";
import { kernelHeader, resolveWorkload, shimSource } from "../../../src/problems/native.ts";

/** A problem small enough to write in a test: definition with its reference, and workloads. */
export interface Fixture {
  readonly definition: Definition;
  readonly workloads: readonly Workload[];
}

export function fixture(definition: unknown, workloads: readonly unknown[]): Fixture {
  return {
    definition: definitionSchema.parse(definition),
    workloads: workloads.map((one) => workloadSchema.parse(one)),
  };
}

const folder = mkdtempSync(join(tmpdir(), "kernelevolve-test-native-"));

/** Compiles `source` with the problem's header and shim, as the compile stage does, and answers the object's path. */
export function build(problem: Fixture, source: string, flags: readonly string[] = ["-O2"]): string {
  const header = kernelHeader(problem.definition);
  const shim = shimSource(problem.definition);
  const place = join(folder, sha256([header, shim, source, ...flags].join("\0")).slice(0, 24));
  const object = join(place, "kernel.so");
  if (existsSync(object)) return object;
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "kernel.c"), source);
  writeFileSync(join(place, "kernel.h"), header);
  writeFileSync(join(place, "shim.c"), shim);
  const files = [join(place, "kernel.c"), join(place, "shim.c")];
  execFileSync(
    "gcc",
    ["-std=gnu17", ...flags, "-fPIC", "-shared", "-w", "-I", place, "-o", `${object}.part`, ...files, "-lm"],
    {
      stdio: ["ignore", "inherit", "inherit"],
    },
  );
  renameSync(`${object}.part`, object);
  return object;
}

export const quiet: WorkContext = { signal: new AbortController().signal, report: () => undefined };

export interface Ask extends Partial<Omit<JudgeJob, "mode">> {
  readonly flags?: readonly string[];
  readonly baselineFlags?: readonly string[];
  readonly context?: WorkContext;
  readonly probe?: SandboxProbe;
}

/** Runs one mode of the judge over a problem with `source` as the candidate; the reference is the baseline. */
export async function ask(
  mode: JudgeJob["mode"],
  problem: Fixture,
  source: string,
  more: Ask = {},
): Promise<JudgeEvent[]> {
  const reference = problem.definition.reference_c ?? "";
  const {
    flags = ["-O2"],
    baselineFlags = ["-O2"],
    context = quiet,
    probe = await probeSandbox(),
    ...job
  } = more;
  const programs = await nativePrograms();
  const full: JudgeJob = {
    mode,
    host: programs.host,
    oracle: build(problem, reference, ["-O2", "-DKE_REFERENCE", "-DKE_ORACLE"]),
    candidate: build(problem, source, flags),
    baselines: [{ name: "reference", path: build(problem, reference, [...baselineFlags, "-DKE_REFERENCE"]) }],
    sandbox: hostSandbox(probe, programs.host),
    cgroups: [],
    uid: probe.root ? sandboxUid() : 0,
    threads: 1,
    limits: { addressSpaceBytes: 1 << 30, cpuSeconds: 60, fileBytes: 1 << 20 },
    callSeconds: 2,
    lock: join(tmpdir(), "kernelevolve-device-test.lock"),
    cache: "cold",
    trials: 8,
    budgetSeconds: 1,
    targetWidth: 0.02,
    generations: { min: 3, max: 8 },
    workloads: problem.workloads.map((workload) => resolveWorkload(problem.definition, workload)),
    ...job,
  };
  return await runJudge(full, 300_000, context);
}

export const verifiedOf = (events: readonly JudgeEvent[]): Verified[] =>
  events.filter((event): event is Verified => event.event === "verified");
export const benchmarkedOf = (events: readonly JudgeEvent[]): Benchmarked[] =>
  events.filter((event): event is Benchmarked => event.event === "benchmarked");
export const gradedOf = (events: readonly JudgeEvent[]): Graded[] =>
  events.filter((event): event is Graded => event.event === "graded");
