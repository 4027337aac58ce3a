import { randomUUID } from "node:crypto";
import { release } from "node:os";
import {
  type ArtifactService,
  type CompileStage,
  candidateSourceSchema,
  type Diagnosis,
  type EvaluateOptions,
  type EvaluationRecord,
  type EvaluationService,
  errorMessage,
  type Grading,
  KernelEvolveError,
  type Peaks,
  type Problem,
  type ProfileStage,
  type Reason,
  STAGES,
  type Stage,
  type Status,
  type TargetSpec,
  type Toolchain,
  type WorkContext,
  type WorkloadBenchmark,
} from "../../domain/index.ts";
import { canonicalJson, sha256 } from "../../platform/hash.ts";
import { probeSandbox } from "../../platform/sandbox-probe.ts";
import { runProcess } from "../../platform/subprocess.ts";
import { type ResolvedWorkload, resolveWorkload } from "../../problems/native.ts";
import { diagnose } from "../../profiling/index.ts";
import { deviceName, type Machine, memoryLevel, type Roofline, roofline } from "../../targets/index.ts";
import { applyTunables, parseHeader } from "../candidate/header.ts";
import { type Compiled, compile, compilerVersion } from "../compile/compiler.ts";
import { checkFlags, threadsOf } from "../compile/flags.ts";
import { parseRemarks, type VectorRemark } from "../compile/remarks.ts";
import { harnessHash } from "../native/programs.ts";
import type { EvaluationCache } from "../ports.ts";
import { overallRoofline, overallSpeedups, workloadBenchmark } from "./credit.ts";
import { CORES, compileReferences, type Prepared, prepare, type References, toolchainOf } from "./prepare.ts";
import { profileOnce } from "./profile.ts";
import { staticScan } from "./reasons.ts";
import { findings, type Stages, verdictOf, verifications } from "./record.ts";
import { judge } from "./stages.ts";

const DEFAULT_BENCHMARK_SECONDS = 20;
const DIAGNOSTICS_CHARS = 4000;

export interface PipelineParts {
  readonly targets: {
    get(id: string): Promise<TargetSpec>;
    machine(): Machine;
    peaks(id: string, context: WorkContext): Promise<Peaks>;
  };
  readonly cache: EvaluationCache;
  readonly artifacts: ArtifactService;
  /** Grading of a problem, so that degenerate workloads earn no credit. */
  readonly graded: (problem: Problem, target: string, context: WorkContext) => Promise<Problem>;
}

/** One candidate on its way through the stages. */
interface Work {
  readonly source: string;
  readonly problem: Problem;
  readonly spec: TargetSpec;
  readonly abstraction: string;
  readonly toolchain: Toolchain;
  readonly flags: readonly string[];
  readonly threads: number;
  readonly prepared: Prepared;
  readonly baselines: readonly string[];
  readonly stages: readonly Stage[];
  readonly seconds: number;
  readonly context: WorkContext;
}

interface Outcome {
  status: Status;
  reasons: Reason[];
  stages: { -readonly [K in keyof Stages]: Stages[K] };
  benchmarks: WorkloadBenchmark[];
  roofs: Map<string, Roofline>;
  remarks: VectorRemark[];
  diagnosis?: Diagnosis;
}

/** The evaluation pipeline of native targets: compile, verify, benchmark, profile; each stage only when the one before it held. */
export class Evaluations implements EvaluationService {
  readonly #parts: PipelineParts;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
  }

  async get(id: string): Promise<EvaluationRecord> {
    const record = this.#parts.cache.get(id);
    if (record === undefined)
      throw new KernelEvolveError("not_found", `evaluation ${id.slice(0, 80)} is unknown`);
    return record;
  }

  async evaluate(
    input: { source: string; problem: Problem; target: string; abstraction: string },
    options: EvaluateOptions,
    context: WorkContext,
  ): Promise<EvaluationRecord> {
    const work = await this.#plan(input, options, context);
    const key = await this.#key(work, options);
    if (options.use_cache !== false) {
      const known = this.#parts.cache.byKey(key);
      if (known !== undefined) return { ...known, cached: true };
    }
    const started = new Date().toISOString();
    const outcome: Outcome = {
      status: "ok",
      reasons: [],
      stages: {},
      benchmarks: [],
      roofs: new Map(),
      remarks: [],
    };
    let grading: Grading | undefined;
    try {
      grading = await this.#run(work, outcome);
    } catch (error) {
      if (
        !(error instanceof KernelEvolveError) ||
        ["cancelled", "invalid_argument", "missing_tool"].includes(error.code)
      )
        throw error;
      outcome.status = error.code === "unsupported" ? "unsupported" : "infrastructure_error";
      outcome.reasons.push({ code: error.code, message: errorMessage(error) });
    }
    const record = await this.#record(work, outcome, grading, started);
    const lasting = !["infrastructure_error", "too_noisy", "timeout"].includes(record.status);
    this.#parts.cache.put(record, lasting ? key : undefined);
    return record;
  }

  async #plan(
    input: { source: string; problem: Problem; target: string; abstraction: string },
    options: EvaluateOptions,
    context: WorkContext,
  ): Promise<Work> {
    const checked = candidateSourceSchema.safeParse(input.source);
    if (!checked.success)
      throw new KernelEvolveError(
        "invalid_argument",
        `source: ${checked.error.issues[0]?.message ?? "not usable"}`,
      );
    const spec = await this.#parts.targets.get(input.target);
    const toolchain = toolchainOf(spec, input.abstraction);
    const source =
      options.tunables === undefined ? input.source : applyTunables(input.source, options.tunables);
    const header = parseHeader(source);
    const asked = header.flags ?? toolchain.default_flags;
    checkFlags(asked, toolchain);
    checkFlags(header.tunableFlags, toolchain);
    const tunables = header.tunables.map((tunable) => `-D${tunable.name}=${tunable.value}`);
    const wanted = new Set(options.stages ?? ["compile", "verify", "benchmark"]);
    const last = STAGES.findLastIndex((stage) => wanted.has(stage) && stage !== "profile");
    const stages = STAGES.filter((stage, index) =>
      stage === "profile" ? wanted.has("profile") : index <= Math.max(0, last),
    );
    const prepared = prepare(input.problem, spec, this.#parts.targets.machine(), options.workloads);
    return {
      source,
      problem: input.problem,
      spec,
      abstraction: input.abstraction,
      toolchain,
      flags: [...asked, ...tunables],
      threads: threadsOf(asked, CORES),
      prepared,
      baselines: options.baselines ?? Object.keys(prepared.referenceToolchain.baselines),
      stages,
      seconds: options.benchmark_seconds ?? DEFAULT_BENCHMARK_SECONDS,
      context,
    };
  }

  /** What the answer depends on. */
  async #key(work: Work, options: EvaluateOptions): Promise<string> {
    return sha256(
      canonicalJson([
        work.source,
        work.problem.content_hash,
        work.spec,
        work.abstraction,
        work.stages,
        options.workloads ?? null,
        work.baselines,
        work.stages.includes("benchmark") ? work.seconds : 0,
        await compilerVersion(work.toolchain.program),
        harnessHash(),
        (await probeSandbox()).kind,
        work.prepared.machineKey,
      ]),
    );
  }

  async #run(work: Work, outcome: Outcome): Promise<Grading | undefined> {
    const { context } = work;
    const suspicious = staticScan(work.source);
    outcome.reasons.push(...suspicious);
    context.report({ progress: 0, total: 4, message: "compiling" });
    const needsReference = work.stages.includes("verify") || work.stages.includes("benchmark");
    const [candidate, references] = await Promise.all([
      this.#compile(work, outcome),
      needsReference ? compileReferences(work.problem, work.prepared, work.baselines, context) : undefined,
    ]);
    if (candidate === undefined) return undefined;
    if (references !== undefined && work.stages.includes("verify")) {
      context.report({ progress: 1, total: 4, message: "verifying" });
      if (!(await this.#verify(work, outcome, candidate, references))) return undefined;
    }
    let grading: Grading | undefined;
    if (references !== undefined && work.stages.includes("benchmark")) {
      grading = (await this.#parts.graded(work.problem, work.spec.id, context)).grading;
      context.report({ progress: 2, total: 4, message: "benchmarking" });
      if (!(await this.#benchmark(work, outcome, candidate, references))) return grading;
    }
    if (work.stages.includes("profile")) {
      context.report({ progress: 3, total: 4, message: "profiling" });
      await this.#profile(work, outcome, candidate).catch((error: unknown) => {
        // What a profiler cannot do says nothing about the kernel: the rest of the record stands.
        if (!(error instanceof KernelEvolveError) || error.code === "cancelled") throw error;
        outcome.reasons.push({
          code: "profile_failed",
          message: `${error.message}${error.fix === undefined ? "" : ` (${error.fix})`}`,
        });
      });
    }
    return grading;
  }

  async #compile(work: Work, outcome: Outcome): Promise<Compiled | undefined> {
    const { toolchain, prepared, context } = work;
    const request = {
      toolchain,
      source: work.source,
      header: prepared.header,
      shim: prepared.shim,
      machine: prepared.machineKey,
    };
    // The remarks come with the build itself: the same flags, more words.
    const made = await compile({ ...request, flags: [...work.flags, ...toolchain.remarks_flags] }, context);
    const file = `kernel${toolchain.extension}`;
    outcome.remarks = parseRemarks(made.log, file);
    const spoken = made.log
      .split("\n")
      .filter((line) => !/: (missed|optimized|note): /.test(line))
      .join("\n")
      .trim();
    const artifacts: Record<string, string> = {};
    if (spoken.length > DIAGNOSTICS_CHARS) {
      artifacts["log"] = await this.#parts.artifacts.write(spoken, {
        name: "compiler.log",
        media_type: "text/plain",
      });
    }
    if (made.ok && work.stages.length === 1) artifacts["assembly"] = await this.#assembly(made);
    const stage: CompileStage = {
      status: made.ok ? "ok" : made.timedOut ? "timeout" : "compile_error",
      seconds: made.seconds,
      cached: made.cached,
      artifacts,
      command: made.command,
      toolchain: made.toolchain,
      ...(spoken === "" ? {} : { diagnostics: spoken.slice(0, DIAGNOSTICS_CHARS) }),
      ...(made.ok ? { binary_bytes: made.bytes } : {}),
    };
    outcome.stages.compile = stage;
    if (made.ok) return made;
    outcome.status = stage.status;
    const first = spoken.split("\n").find((line) => /error/.test(line)) ?? spoken.split("\n")[0] ?? "";
    outcome.reasons.push({
      code: stage.status,
      message: first.slice(0, 400) || "the source does not compile",
    });
    return undefined;
  }

  async #assembly(made: Compiled): Promise<string> {
    const result = await runProcess({
      argv: ["objdump", "-d", "--no-show-raw-insn", "--section=.text", made.object],
      timeoutMs: 30_000,
      cap: 4 << 20,
    }).catch(() => undefined);
    const text =
      result?.code === 0
        ? result.stdout.replace(/^.*file format.*$/m, "")
        : "objdump is not installed: apt-get install binutils, then compile again with a changed source\n";
    return await this.#parts.artifacts.write(text, { name: "kernel.s", media_type: "text/x-asm" });
  }

  async #verify(work: Work, outcome: Outcome, candidate: Compiled, references: References): Promise<boolean> {
    const started = performance.now();
    const events = await judge("verify", this.#judged(work, candidate, references), work.context);
    const found = findings(events);
    const { workloads, notes } = verifications(events);
    const complete =
      workloads.length === work.prepared.workloads.length && workloads.every((one) => one.passed);
    // Fail closed: only an explicit pass of every workload is a pass.
    const status: Status = found.status !== "ok" ? found.status : complete ? "ok" : "infrastructure_error";
    outcome.stages.verify = {
      status,
      seconds: (performance.now() - started) / 1000,
      cached: false,
      artifacts: await this.#printed(events),
      workloads,
    };
    outcome.reasons.push(...found.reasons, ...notes);
    outcome.status = status;
    return status === "ok";
  }

  /** What a candidate printed, kept for whoever debugs it. */
  async #printed(events: Awaited<ReturnType<typeof judge>>): Promise<Record<string, string>> {
    const text = events
      .map((event) => (event.event === "verified" || event.event === "host_failure" ? event.text : ""))
      .find((one) => one !== "");
    return text === undefined
      ? {}
      : {
          printed: await this.#parts.artifacts.write(text, { name: "printed.txt", media_type: "text/plain" }),
        };
  }

  async #benchmark(
    work: Work,
    outcome: Outcome,
    candidate: Compiled,
    references: References,
  ): Promise<boolean> {
    const timed = work.prepared.workloads.filter((workload) => workload.role === "timed");
    if (timed.length === 0)
      throw new KernelEvolveError("unsupported", "none of the chosen workloads is timed", {
        fix: 'give one the role "timed"',
      });
    const peaks = await this.#parts.targets.peaks(work.spec.id, work.context);
    const started = performance.now();
    const events = await judge(
      "benchmark",
      { ...this.#judged(work, candidate, references), workloads: timed },
      work.context,
    );
    const found = findings(events);
    outcome.reasons.push(...found.reasons);
    for (const event of events) {
      if (event.event === "benchmarked") {
        const workload = timed.find((one) => one.uuid === event.workload);
        const roof = workload === undefined ? undefined : this.#roof(work, workload, peaks);
        if (roof !== undefined) outcome.roofs.set(event.workload, roof);
        const { benchmark, reasons } = workloadBenchmark(event, roof);
        outcome.benchmarks.push(benchmark);
        outcome.reasons.push(...reasons);
      } else if (event.event === "unmeasured") {
        outcome.reasons.push({
          code: "too_noisy",
          message: `${event.rejected} of ${event.rounds} pairs were disturbed: the machine is too busy to time this`,
          workload: event.workload,
        });
      }
    }
    let status: Status = found.status;
    if (status === "ok" && outcome.benchmarks.length < timed.length) {
      status = events.some((event) => event.event === "unmeasured") ? "too_noisy" : "infrastructure_error";
    }
    if (status === "ok" && outcome.benchmarks.some((one) => one.outcome === "too_noisy"))
      status = "too_noisy";
    if (status === "too_noisy" && !outcome.reasons.some((reason) => reason.code === "too_noisy")) {
      outcome.reasons.push({
        code: "too_noisy",
        message:
          "the interval of the ratio stayed wide and contains 1: no claim either way; a quieter machine or a longer benchmark may tell",
      });
    }
    outcome.status = status;
    outcome.stages.benchmark = {
      status,
      seconds: (performance.now() - started) / 1000,
      cached: false,
      artifacts: {},
      clock: "CLOCK_MONOTONIC_RAW of the judge, checked against the host's",
      cache: work.problem.cache,
      workloads: outcome.benchmarks,
    };
    return status === "ok" || status === "too_noisy";
  }

  #judged(work: Work, candidate: Compiled, references: References): Omit<Parameters<typeof judge>[1], never> {
    return {
      candidate,
      references,
      workloads: work.prepared.workloads,
      threads: work.threads,
      cache: work.problem.cache,
      target: work.spec.id,
      benchmarkSeconds: work.seconds,
    };
  }

  #roof(work: Work, workload: ResolvedWorkload, peaks: Peaks): Roofline | undefined {
    const dtype = workload.outputs.find((tensor) => tensor.elements > 0)?.dtype ?? "float32";
    const level = memoryLevel(workload.bytes, this.#parts.targets.machine().memory, work.problem.cache);
    return roofline({ flops: workload.flops, bytes: workload.bytes }, dtype, peaks, level, work.threads);
  }

  async #profile(work: Work, outcome: Outcome, candidate: Compiled): Promise<void> {
    const started = performance.now();
    const timed = work.prepared.workloads.filter((workload) => workload.role === "timed");
    const slowest = outcome.benchmarks.toSorted((a, b) => b.candidate.median_ns - a.candidate.median_ns)[0];
    const workload =
      timed.find((one) => one.uuid === slowest?.workload) ?? timed[0] ?? work.prepared.workloads[0];
    if (workload === undefined) return;
    const file = `kernel${work.toolchain.extension}`;
    const remarks: string[] = [];
    const machine = this.#parts.targets.machine();
    // valgrind knows no AVX-512: for the simulation the kernel is built for AVX2, and the result says so.
    const portable = work.flags.map((flag) =>
      flag === "-march=native" || flag === "-march=x86-64-v4" ? "-march=x86-64-v3" : flag,
    );
    const debug = {
      toolchain: work.toolchain,
      source: work.source,
      header: work.prepared.header,
      shim: work.prepared.shim,
      machine: work.prepared.machineKey,
    };
    const object = await compile({ ...debug, flags: [...portable, "-g"] }, work.context);
    if (portable.join(" ") !== work.flags.join(" "))
      remarks.push("profiled as built with -march=x86-64-v3: the simulator cannot execute AVX-512");
    const profiled = await profileOnce(object.ok ? object : candidate, workload, file, machine, work.context);
    for (const { line, share } of profiled.hotLines.slice(0, 5))
      remarks.push(`line ${line}: ${(share * 100).toFixed(1)} % of the instructions`);
    remarks.push(...outcome.remarks.slice(0, 8).map((remark) => `line ${remark.line}: ${remark.text}`));
    const raw = await this.#parts.artifacts.write(profiled.raw, {
      name: `${profiled.profiler}.out`,
      media_type: "text/plain",
    });
    const roof = outcome.roofs.get(workload.uuid);
    const metrics = { ...profiled.metrics };
    if (workload.flops !== undefined && metrics["instructions"] !== undefined) {
      metrics["operations_per_instruction"] = workload.flops / metrics["instructions"];
    }
    const diagnosis = diagnose({ ...this.#facts(work, outcome, workload.uuid), metrics });
    const stage: ProfileStage = {
      status: "ok",
      seconds: (performance.now() - started) / 1000,
      cached: false,
      artifacts: { raw },
      profiler: profiled.profiler,
      method: `${profiled.method}, workload ${workload.uuid}${roof === undefined ? "" : `, ${roof.level} roof`}`,
      metrics,
      remarks,
      diagnosis,
    };
    outcome.stages.profile = stage;
    outcome.diagnosis = diagnosis;
  }

  #facts(work: Work, outcome: Outcome, uuid: string): Parameters<typeof diagnose>[0] {
    const benchmark = outcome.benchmarks.find((one) => one.workload === uuid);
    const roof = outcome.roofs.get(uuid);
    return {
      roofline: benchmark?.roofline,
      bound: roof?.bound,
      level: roof?.level,
      intensity: roof?.intensity,
      medianNs: benchmark?.candidate.median_ns,
      vectorisedLoops: outcome.remarks.filter((remark) => remark.vectorised).length,
      missed: outcome.remarks.filter((remark) => !remark.vectorised),
      usesIntrinsics: /\b_mm\d*_|vector_size|__builtin_ia32_|#include\s*<\w*intrin/.test(work.source),
    };
  }

  async #record(
    work: Work,
    outcome: Outcome,
    grading: Grading | undefined,
    created: string,
  ): Promise<EvaluationRecord> {
    const sandbox = (await probeSandbox()).kind;
    if (grading?.degenerate === true) {
      outcome.reasons.push({
        code: "degenerate_problem",
        message: `a candidate that computes nothing passes this problem (${grading.nulls
          .filter((one) => one.passed)
          .map((one) => one.candidate)
          .join(", ")}): no speedup on it is credited`,
      });
    }
    const verdict = verdictOf(outcome.status, outcome.reasons);
    const verified = outcome.stages.verify?.status === "ok";
    const speedups = overallSpeedups(
      outcome.benchmarks,
      grading,
      verdict === "passed" && verified && outcome.status === "ok",
    );
    const share = overallRoofline(outcome.benchmarks);
    const slowest = outcome.benchmarks.toSorted((a, b) => b.candidate.median_ns - a.candidate.median_ns)[0];
    const diagnosis =
      outcome.diagnosis ??
      (slowest === undefined ? undefined : diagnose(this.#facts(work, outcome, slowest.workload)));
    return {
      id: `eval_${randomUUID()}`,
      candidate: sha256(work.source),
      problem: work.problem.id,
      target: work.spec.id,
      abstraction: work.abstraction,
      verdict,
      status: outcome.status,
      reasons: outcome.reasons,
      speedups,
      ...(share === undefined ? {} : { roofline: share }),
      stages: outcome.stages,
      ...(diagnosis === undefined ? {} : { diagnosis }),
      sandbox,
      device: deviceName(this.#parts.targets.machine()),
      versions: {
        compiler: await compilerVersion(work.toolchain.program),
        harness: harnessHash().slice(0, 12),
        kernel: release(),
        flags: work.flags.join(" "),
      },
      created_at: created,
      cached: false,
    };
  }
}

/**
 * Grades a problem: which null candidates (zeros, ones, the mean, a copy of an input, nothing, random numbers) would pass.
 * A workload without any output element decides nothing and is left out.
 */
export async function gradeProblem(
  problem: Problem,
  target: string,
  targets: PipelineParts["targets"],
  context: WorkContext,
): Promise<Grading> {
  const spec = await targets.get(target);
  const prepared = prepare(problem, spec, targets.machine(), undefined);
  const references = await compileReferences(problem, prepared, [], context);
  const workloads = problem.workloads.map((workload) => resolveWorkload(problem.definition, workload));
  const input = {
    candidate: undefined,
    references,
    workloads,
    threads: 1,
    cache: problem.cache,
    target,
    benchmarkSeconds: 0,
  };
  const events = await judge("grade", input, context);
  const graded = events.flatMap((event) => (event.event === "graded" && !event.empty ? [event] : []));
  const kinds = ["zeros", "ones", "mean", "input_copy", "uninitialised", "random"] as const;
  const nulls = kinds.map((candidate) => {
    const passed = graded.filter((event) => event.nulls[candidate]).map((event) => event.workload);
    return {
      candidate,
      passed: graded.length > 0 && passed.length === graded.length,
      workloads_passed: passed,
    };
  });
  const timed = new Set(
    problem.workloads.filter((workload) => workload.role === "timed").map((workload) => workload.uuid),
  );
  const weak = [...new Set(nulls.flatMap((one) => one.workloads_passed))].filter((uuid) => timed.has(uuid));
  return {
    degenerate: nulls.some((one) => one.passed) || (timed.size > 0 && weak.length === timed.size),
    nulls,
    degenerate_workloads: weak,
    graded_at: new Date().toISOString(),
  };
}
