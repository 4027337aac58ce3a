import {
  type ArtifactService,
  type EvaluateOptions,
  type EvaluationRecord,
  type EvaluationService,
  explained,
  KernelEvolveError,
  type Peaks,
  type Problem,
  type TargetSpec,
  type WorkContext,
} from "../../domain/index.ts";
import type { Machine } from "../../targets/index.ts";
import { staticScan } from "../candidate/scan.ts";
import type { EvaluationCache } from "../ports.ts";
import type { TorchEvaluations } from "../torch/service.ts";
import { benchmarkStage } from "./benchmarking.ts";
import { compileStage } from "./compiling.ts";
import { finishRecord } from "./finish.ts";
import { emptyOutcome, type Outcome } from "./outcome.ts";
import { type EvaluateInput, evaluationKey, planWork, type Work } from "./plan.ts";
import { compileReferences } from "./prepare.ts";
import { profileStage } from "./profiling.ts";
import { isLasting } from "./verdict.ts";
import { verifyStage } from "./verifying.ts";

/** What the pipeline asks about targets. */
export interface PipelineTargets {
  get(id: string): Promise<TargetSpec>;
  machine(): Machine;
  peaks(id: string, context: WorkContext, options?: { fresh?: boolean }): Promise<Peaks>;
}

export interface PipelineParts {
  readonly targets: PipelineTargets;
  readonly cache: EvaluationCache;
  readonly artifacts: ArtifactService;
  /** Grading of a problem, so that degenerate workloads earn no credit. */
  readonly graded: (problem: Problem, target: string, context: WorkContext) => Promise<Problem>;
  /** Evaluates on targets with PyTorch. */
  readonly torch: Pick<TorchEvaluations, "evaluate">;
}

/** The caller's fault or wish, or a machine that lacks a tool: told as an error, not as a record about the kernel. */
const NO_RECORD: ReadonlySet<string> = new Set(["cancelled", "invalid_argument", "missing_tool"]);

/** The evaluation pipeline. Of native targets: compile, verify, benchmark, profile; each stage only when the one before it held. */
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
    input: EvaluateInput,
    options: EvaluateOptions,
    context: WorkContext,
  ): Promise<EvaluationRecord> {
    const spec = await this.#parts.targets.get(input.target);
    if (spec.run?.harness === "torch") return await this.#parts.torch.evaluate(input, options, spec, context);
    if (options.replace !== undefined)
      throw new KernelEvolveError("unsupported", `replace: ${spec.id} compiles no PTX and no AMDGCN`, {
        fix: "use a GPU target with a Triton candidate, or leave replace out",
      });
    const work = planWork(input, options, { spec, machine: this.#parts.targets.machine() }, context);
    const key = await evaluationKey(work);
    if (options.use_cache !== false) {
      const known = this.#parts.cache.byKey(key);
      if (known !== undefined) return { ...known, cached: true };
    }
    const created = new Date();
    const outcome = emptyOutcome();
    try {
      await this.#run(work, outcome);
    } catch (error) {
      if (!(error instanceof KernelEvolveError) || NO_RECORD.has(error.code)) throw error;
      outcome.status = error.code === "unsupported" ? "unsupported" : "infrastructure_error";
      outcome.reasons.push({ code: error.code, message: explained(error) });
    }
    const record = await finishRecord(work, outcome, created);
    this.#parts.cache.put(record, isLasting(record) ? key : undefined);
    return record;
  }

  async #run(work: Work, outcome: Outcome): Promise<void> {
    const { context, stages } = work;
    const { artifacts, targets } = this.#parts;
    const total = stages.length;
    outcome.reasons.push(...staticScan(work.source));
    context.report({ progress: 0, total, message: "compiling" });
    const judgedAtAll = stages.includes("verify") || stages.includes("benchmark");
    const [candidate, references] = await Promise.all([
      compileStage(work, outcome, artifacts),
      judgedAtAll ? compileReferences(work.problem, work.prepared, work.baselines, context) : undefined,
    ]);
    if (candidate === undefined) return;
    if (references !== undefined) {
      const objects = { candidate, references };
      if (stages.includes("verify")) {
        context.report({ progress: 1, total, message: "verifying" });
        if (!(await verifyStage(work, outcome, objects, artifacts))) return;
      }
      if (stages.includes("benchmark")) {
        const graded = await this.#parts.graded(work.problem, work.spec.id, context);
        if (graded.grading !== undefined) outcome.grading = graded.grading;
        const peaks = (options: { fresh?: boolean }): Promise<Peaks> =>
          targets.peaks(work.spec.id, context, options);
        context.report({ progress: 2, total, message: "benchmarking" });
        if (!(await benchmarkStage(work, outcome, objects, peaks))) return;
      }
    }
    if (stages.includes("profile")) {
      context.report({ progress: total - 1, total, message: "profiling" });
      await profileStage(work, outcome, candidate, artifacts).catch((error: unknown) => {
        // What a profiler cannot do says nothing about the kernel: the rest of the record stands.
        if (!(error instanceof KernelEvolveError) || error.code === "cancelled") throw error;
        outcome.reasons.push({ code: "profile_failed", message: explained(error) });
      });
    }
  }
}
