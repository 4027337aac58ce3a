import { randomUUID } from "node:crypto";
import { chmodSync, chownSync, mkdirSync, rmSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import {
  type ArtifactService,
  type EvaluationRecord,
  explained,
  KernelEvolveError,
  type Problem,
  type Reason,
  type WorkContext,
} from "../../domain/index.ts";
import { sha256 } from "../../platform/hash.ts";
import { cacheHome } from "../../platform/paths.ts";
import { overallRoofline, overallSpeedups, settledBenchmarks } from "../pipeline/credit.ts";
import { gradingNotes } from "../pipeline/finish.ts";
import { deviceLock } from "../pipeline/stages.ts";
import { verdictOf } from "../pipeline/verdict.ts";
import { sandboxUid } from "../sandbox/run.ts";
import { compileAhead, type TorchCompiler } from "./compile.ts";
import { eventsOf, type TorchEvent } from "./events.ts";
import { judgingFields, problemField, withFiles } from "./job.ts";
import { languageOf, type TorchWork, torchJudgeHash } from "./plan.ts";
import { torchDiagnosis } from "./profile.ts";
import { profileCandidate, type TorchProfiler } from "./profiling.ts";
import { readFindings } from "./reading.ts";
import { torchSandbox } from "./sandbox.ts";
import type { TorchJudge } from "./server.ts";
import { factsOf, type State, settle } from "./settle.ts";

/** The user of baselines, whose compiled forms are kept from one evaluation to the next. */
const BASELINE_UID = 60_999;

export interface TorchParts {
  readonly judge: TorchJudge;
  readonly compiler: TorchCompiler;
  readonly profiler: TorchProfiler;
  readonly artifacts: ArtifactService;
  readonly graded: (problem: Problem, target: string, context: WorkContext) => Promise<Problem>;
}

/** Folder of what candidates compile when they run: one for each candidate, under names that cannot be listed from inside. */
function candidateCaches(): string {
  const folder = join(cacheHome(), "torch-candidates");
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o711);
  return folder;
}

/** Fields of the job that do not depend on the mode. */
export function jobBase(work: Omit<TorchWork, "source">): Record<string, unknown> {
  const device = work.device ?? "cpu";
  const onDevice = device !== "cpu";
  const caches = onDevice ? candidateCaches() : undefined;
  const compiled = join(cacheHome(), "torch-baselines");
  mkdirSync(compiled, { recursive: true });
  const own = work.sandbox.root && work.sandbox.kind === "full";
  if (own) chownSync(compiled, BASELINE_UID, BASELINE_UID);
  const apart = (writable: readonly string[]): string[] =>
    torchSandbox(work.sandbox, work.environment, onDevice ? "cuda" : "cpu", writable);
  return {
    device,
    ...judgingFields(work.problem),
    // A candidate never sees what baselines compile, nor may it write there.
    sandbox: apart(caches === undefined ? [] : [caches]),
    trusted_sandbox: apart([compiled]),
    uid: own ? sandboxUid() : 0,
    trusted_uid: own ? BASELINE_UID : 0,
    limits: {
      // Address space has no meaning on a device, where the driver reserves terabytes.
      ...(onDevice ? {} : { address_space: 24 * 2 ** 30 }),
      cpu_seconds: 900,
      file_bytes: 256 * 2 ** 20,
    },
    lock: deviceLock(work.spec.id),
    preload: work.toolchain.packages.includes("triton") ? ["triton"] : [],
    threads: 1,
  };
}

/** Judges a candidate; the record says what was found. @throws cancelled, and infrastructure when the judge itself fails. */
export async function evaluateTorch(work: TorchWork, parts: TorchParts): Promise<EvaluationRecord> {
  const created = new Date();
  const state: State = {
    status: "ok",
    reasons: [],
    stages: {},
    benchmarks: [],
    events: [],
    grading: undefined,
  };
  const overrides = overridesOf(work);
  try {
    await run(work, parts, state, overrides);
  } catch (error) {
    if (
      !(error instanceof KernelEvolveError) ||
      (error.code !== "infrastructure" && error.code !== "unsupported")
    )
      throw error;
    state.status = error.code === "unsupported" ? "unsupported" : "infrastructure_error";
    state.reasons.push({ code: error.code, message: explained(error) });
  } finally {
    if (overrides !== undefined) rmSync(overrides, { recursive: true, force: true });
  }
  return record(work, state, created);
}

async function run(
  work: TorchWork,
  parts: TorchParts,
  state: State,
  overrides: string | undefined,
): Promise<void> {
  const { context, stages } = work;
  const total = stages.length;
  const field = problemField(work.problem, work.wanted);
  await withFiles(field, work.problem.origin, async (problem) => {
    context.report({ progress: 0, total, message: "reading the candidate" });
    if (!(await readStage(work, parts, state, problem))) return;
    if (compiledAhead(work) || work.replace !== undefined) {
      context.report({ progress: 0, total, message: `compiling for ${work.spec.run?.arch ?? ""}` });
      const { stage, reasons } = await compileAhead(
        work,
        problem,
        parts.compiler,
        parts.artifacts,
        overrides,
      );
      state.stages.compile = stage;
      state.status = stage.status;
      state.reasons.push(...reasons);
      if (overrides === undefined || stage.status !== "ok") return;
    }
    const timed = stages.includes("benchmark");
    if (!stages.includes("verify")) return;
    if (timed) {
      const graded = await parts.graded(work.problem, work.spec.id, context);
      state.grading = graded.grading;
    }
    context.report({ progress: 1, total, message: "verifying" });
    const started = performance.now();
    let verifiedAt = started;
    const job = {
      ...jobBase(work),
      mode: timed ? "evaluate" : "verify",
      problem,
      ...candidateFields(work),
      baselines: work.baselines,
      allow_processes: work.toolchain.compiles_when_run && work.device !== "cpu",
      ...(work.device === "cpu" || work.device === undefined
        ? {}
        : { candidate_cache: overrides ?? cacheOf(work) }),
      cache_folder: join(cacheHome(), "torch-baselines"),
      budget_seconds:
        work.seconds / Math.max(1, work.problem.workloads.filter((one) => one.role === "timed").length),
    };
    const events = await parts.judge.ask(job, limitMs(work), context, (event) => {
      if (event.event === "verified" || event.event === "dispatched") verifiedAt = performance.now();
      tell(event, work, total);
    });
    state.events = events;
    settle(work, state, events, { started, verifiedAt, ended: performance.now(), timed });
    if (stages.includes("profile") && state.status === "ok") await profileCandidate(work, parts, state, job);
    await keepTexts(parts.artifacts, state, events);
  });
}

/** Whether the lowered code is all that is asked for, and can be had without the device. */
function compiledAhead({ stages, spec, abstraction }: TorchWork): boolean {
  const lowered = abstraction === "triton" || abstraction === "cuda";
  return stages.length === 1 && lowered && spec.run?.arch !== undefined;
}

/** The candidate as the judge takes it; sources that are built first with their compiler's flags, and where that is kept. */
function candidateFields(work: TorchWork): Record<string, unknown> {
  const language = languageOf(work.toolchain);
  if (language === undefined) return { candidate: { source: work.source } };
  return {
    candidate: { source: work.source, language, flags: work.toolchain.default_flags },
    module_cache: join(cacheHome(), "torch-modules"),
  };
}

function cacheOf(work: TorchWork): string {
  const key = sha256(
    JSON.stringify([work.source, work.environment.packages, work.deviceName, torchJudgeHash()]),
  );
  return join(candidateCaches(), key.slice(0, 40));
}

/**
 * Where an edited text is laid for the candidate's launches; undefined where there is none. A folder of this evaluation alone: what
 * was compiled once is not looked up again, whatever text is beside it.
 */
function overridesOf(work: TorchWork): string | undefined {
  if (work.replace === undefined || work.stages.length === 1) return undefined;
  const folder = join(candidateCaches(), randomUUID());
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  return folder;
}

function limitMs(work: TorchWork): number {
  const workloads = work.problem.workloads.length;
  return (300 + workloads * 120 + (work.stages.includes("benchmark") ? 700 + work.seconds * 6 : 0)) * 1000;
}

/** The compile stage: whether a Python text can be what the format asks for; a C++ or CUDA source is built. */
async function readStage(
  work: TorchWork,
  parts: TorchParts,
  state: State,
  problem: object,
): Promise<boolean> {
  const started = performance.now();
  // A CUDA source of which only the lowered code is asked for is built by that alone.
  const built = languageOf(work.toolchain) !== undefined && !compiledAhead(work);
  const base = built ? jobBase(work) : { device: "cpu" };
  const job = { ...base, mode: "describe", problem, ...candidateFields(work) };
  const events = await parts.judge.ask(job, built ? 420_000 : 180_000, work.context);
  const { stage, reasons } = readFindings(work, events, (performance.now() - started) / 1000);
  state.status = stage.status;
  state.stages.compile = stage;
  state.reasons.push(...reasons);
  return stage.status === "ok";
}

function tell(event: TorchEvent, work: TorchWork, total: number): void {
  const report = (progress: number, message: string): void =>
    work.context.report({ progress, total, message });
  if (event.event === "verified") report(1.5, `verified ${event.workload}`);
  if (event.event === "waiting") report(2, "waiting for the device (another evaluation is timing)");
  if (event.event === "progress") {
    const interval =
      event.low === null || event.high === null ? "" : ` [${event.low.toFixed(3)}, ${event.high.toFixed(3)}]`;
    report(2, `timing ${event.workload}: ${event.ratio?.toFixed(3) ?? "?"}x${interval}`);
  }
  if (event.event === "benchmarked") report(2.5, `timed ${event.workload}`);
}

/** What a candidate printed, and what was dispatched, kept for whoever wants to know. */
async function keepTexts(
  artifacts: ArtifactService,
  state: State,
  events: readonly TorchEvent[],
): Promise<void> {
  const { verify } = state.stages;
  if (verify === undefined) return;
  const kept: Record<string, string> = {};
  const printed = events
    .flatMap((event) => (event.event === "verified" || event.event === "host_failure" ? [event.text] : []))
    .find((text) => text !== "");
  if (printed !== undefined)
    kept["printed"] = await artifacts.write(printed, { name: "printed.txt", media_type: "text/plain" });
  const [dispatched] = eventsOf(events, "dispatched");
  if (dispatched !== undefined)
    kept["dispatched"] = await artifacts.write(JSON.stringify(dispatched, null, 1), {
      name: "dispatched.json",
      media_type: "application/json",
    });
  state.stages.verify = { ...verify, artifacts: kept };
}

function record(work: TorchWork, state: State, created: Date): EvaluationRecord {
  const limited: Reason = {
    code: "limited_sandbox",
    message: `the candidate ran with limits but not in a sandbox: ${work.sandbox.detail}${work.sandbox.fix === undefined ? "" : ` (${work.sandbox.fix})`}`,
  };
  const reasons = [
    ...state.reasons,
    ...gradingNotes(state.grading, state.benchmarks),
    ...(work.sandbox.kind === "limited" ? [limited] : []),
  ];
  const verdict = verdictOf(state.status, reasons);
  const creditable = verdict === "passed" && state.status === "ok" && state.stages.verify?.status === "ok";
  const benchmarks = settledBenchmarks(state.benchmarks, state.grading, creditable);
  const { benchmark } = state.stages;
  const facts = factsOf(work, state, state.events);
  const diagnosis =
    state.stages.profile?.diagnosis ?? (facts === undefined ? undefined : torchDiagnosis(facts));
  const share = overallRoofline(benchmarks);
  return {
    id: `eval_${randomUUID()}`,
    candidate: sha256(work.source),
    problem: work.problem.id,
    target: work.spec.id,
    abstraction: work.abstraction,
    verdict,
    status: state.status,
    reasons,
    speedups: overallSpeedups(benchmarks, state.grading, creditable),
    ...(share === undefined ? {} : { roofline: share }),
    stages: {
      ...state.stages,
      ...(benchmark === undefined ? {} : { benchmark: { ...benchmark, workloads: benchmarks } }),
    },
    ...(diagnosis === undefined ? {} : { diagnosis }),
    sandbox: work.sandbox.kind,
    device: work.deviceName,
    versions: {
      python: work.environment.version,
      ...work.environment.packages,
      harness: torchJudgeHash().slice(0, 12),
      kernel: release(),
    },
    created_at: created.toISOString(),
    cached: false,
  };
}
