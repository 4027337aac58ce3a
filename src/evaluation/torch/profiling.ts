import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import {
  type ArtifactService,
  type CompiledKernel,
  KernelEvolveError,
  type ProfileStage,
} from "../../domain/index.ts";
import { plainText } from "../../platform/text.ts";
import { PROFILE_WAYS, type ProfileTexts } from "../../profiling/index.ts";
import { compileAhead, type TorchCompiler } from "./compile.ts";
import type { TorchWork } from "./plan.ts";
import { joinedProfile } from "./profile.ts";
import { torchSandbox } from "./sandbox.ts";
import { TorchServer } from "./server.ts";
import { factsOf, type State } from "./settle.ts";

/** Calls under a profiler that takes a timeline. */
const CALLS = 5;
/** Of one profiled process; ncu replays every kernel some dozen times. */
const SECONDS = 180;

/** Those that watch a process; what else a target lists is joined in here. */
const WATCHERS = new Set(["pytorch", "proton", "ncu"]);

const way = z.enum(PROFILE_WAYS);
/** Events of `python -m ke_torch.profile`, as tools/torch/README.md lists them. */
const profileEventSchema = z.discriminatedUnion("event", [
  z.object({
    event: z.literal("preflight"),
    profilers: z.array(
      z.object({
        name: z.string(),
        ok: z.boolean().nullable(),
        detail: z.string(),
        fix: z.string().nullable(),
      }),
    ),
  }),
  z.object({ event: z.literal("laid"), workload: z.string() }),
  z.object({
    event: z.literal("profiled"),
    profiler: z.string(),
    way,
    path: z.string(),
    seconds: z.number(),
    plain_ns: z.array(z.number()),
    tensor_bytes: z.record(z.string(), z.number()),
  }),
  z.object({
    event: z.literal("unprofiled"),
    profiler: z.string(),
    reason: z.string(),
    fix: z.string().nullable(),
  }),
  z.object({ event: z.literal("missing"), what: z.string(), reason: z.string() }),
  z.object({ event: z.literal("compile_error"), message: z.string() }),
  z.object({ event: z.literal("host_failure"), code: z.string(), message: z.string() }),
  z.object({ event: z.literal("error"), code: z.string(), message: z.string() }),
  z.object({ event: z.literal("done"), ok: z.boolean(), seconds: z.number() }),
]);
export type ProfileEvent = z.infer<typeof profileEventSchema>;

/** `python -m ke_torch.profile --serve`, kept warm. */
export class TorchProfiler extends TorchServer<ProfileEvent> {
  constructor(python: string) {
    super(python, "ke_torch.profile", profileEventSchema);
  }
}

export interface ProfileParts {
  readonly profiler: TorchProfiler;
  readonly compiler: TorchCompiler;
  readonly artifacts: ArtifactService;
}

type Missing = NonNullable<ProfileStage["not_measured"]>;

/** What was asked of the profilers and not answered, with the reasons. */
function missingOf(events: readonly ProfileEvent[]): Missing {
  return events.flatMap((event): Missing => {
    if (event.event === "unprofiled")
      return [
        {
          profiler: event.profiler,
          reason: plainText(event.reason, 500),
          ...(event.fix === null ? {} : { fix: event.fix }),
        },
      ];
    if (event.event === "error" || event.event === "compile_error" || event.event === "host_failure")
      return [{ profiler: "all", reason: plainText(event.message, 500) }];
    if (event.event === "missing") return [{ profiler: "all", reason: event.what, fix: event.reason }];
    return [];
  });
}

/** The compiler's report on the candidate's kernels; none where nothing is compiled for this target, or it fails. */
async function compiledKernels(
  work: TorchWork,
  problem: object,
  parts: ProfileParts,
  missing: Missing,
): Promise<{ kernels: readonly CompiledKernel[]; artifacts: Readonly<Record<string, string>> }> {
  const lowered = work.abstraction === "triton" || work.abstraction === "cuda";
  const wanted = work.spec.profilers.some((one) => one.name === "compiler");
  if (!lowered || !wanted || work.device === "cpu" || work.spec.run?.arch === undefined)
    return { kernels: [], artifacts: {} };
  try {
    const { stage, reasons } = await compileAhead(work, problem, parts.compiler, parts.artifacts);
    if (stage.status !== "ok")
      missing.push({ profiler: "compiler", reason: reasons[0]?.message ?? "nothing was compiled" });
    return { kernels: stage.kernels ?? [], artifacts: stage.artifacts };
  } catch (error) {
    if (!(error instanceof KernelEvolveError) || error.code !== "infrastructure") throw error;
    missing.push({ profiler: "compiler", reason: error.message });
    return { kernels: [], artifacts: {} };
  }
}

/**
 * Profiles a verified candidate with every profiler that is here, and writes the stage into the state. A profiler that fails is named
 * in the stage; the verdict does not depend on it.
 * @param job what the judge was asked; the profilers run the same candidate on the same problem.
 * @throws cancelled.
 */
export async function profileCandidate(
  work: TorchWork,
  parts: ProfileParts,
  state: State,
  job: Readonly<Record<string, unknown>> & { readonly problem: object },
): Promise<void> {
  const started = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "kernelevolve-profile-"));
  try {
    // Candidates' user passes through to what is laid out for it.
    chmodSync(folder, 0o755);
    const facts = factsOf(work, state, state.events);
    const missing: Missing = [];
    const events = await ask(work, parts.profiler, folder, job, facts?.slowest?.workload, missing);
    missing.push(...missingOf(events));
    const texts: Partial<Record<keyof ProfileTexts, string>> = {};
    const written: Record<string, string> = {};
    for (const event of events) {
      if (event.event !== "profiled") continue;
      const text = readFileSync(event.path, "utf8");
      texts[event.way] = text;
      const name = event.way === "ncu" ? "ncu.csv" : `${event.way}.json`;
      written[event.way] = await parts.artifacts.write(text, {
        name,
        media_type: event.way === "ncu" ? "text/csv" : "application/json",
      });
    }
    const compiled = await compiledKernels(work, job.problem, parts, missing);
    const timed = events.flatMap((event) => (event.event === "profiled" ? [event] : []));
    const stage = joinedProfile({
      facts,
      texts,
      calls: CALLS,
      compiled: compiled.kernels,
      missing,
      plainNs: timed.flatMap((event) => event.plain_ns),
      tensorBytes: Object.values(timed[0]?.tensor_bytes ?? {}).reduce((sum, bytes) => sum + bytes, 0),
      bandwidth: work.spec.peaks.declared?.["bandwidth.dram"],
      cold: work.problem.cache === "cold",
      seconds: (performance.now() - started) / 1000,
      artifacts: { ...compiled.artifacts, ...written },
    });
    if (stage === undefined) return;
    state.stages.profile = stage;
    state.reasons = state.reasons.filter((reason) => reason.code !== "profile_failed");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function ask(
  work: TorchWork,
  profiler: TorchProfiler,
  folder: string,
  job: Readonly<Record<string, unknown>>,
  workload: string | undefined,
  missing: Missing,
): Promise<ProfileEvent[]> {
  const cache = job["candidate_cache"];
  const writable = [folder, ...(typeof cache === "string" ? [dirname(cache)] : [])];
  const kind = work.device === "cpu" ? "cpu" : "cuda";
  work.context.report({ progress: 3, total: work.stages.length, message: "profiling" });
  try {
    return await profiler.ask(
      {
        ...job,
        folder,
        calls: CALLS,
        seconds: SECONDS,
        sandbox: torchSandbox(work.sandbox, work.environment, kind, writable),
        profilers: work.spec.profilers.map((one) => one.name).filter((name) => WATCHERS.has(name)),
        ...(workload === undefined ? {} : { workload }),
      },
      (SECONDS * 5 + 300) * 1000,
      work.context,
    );
  } catch (error) {
    if (!(error instanceof KernelEvolveError) || error.code !== "infrastructure") throw error;
    missing.push({ profiler: "all", reason: error.message });
    return [];
  }
}
