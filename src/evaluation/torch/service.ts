import type {
  ArtifactService,
  EvaluateOptions,
  EvaluationRecord,
  Grading,
  Origin,
  Problem,
  TargetSpec,
  WorkContext,
} from "../../domain/index.ts";
import { probeSandbox } from "../../platform/sandbox-probe.ts";
import { probeTorch } from "../../platform/torch-environment.ts";
import { deviceName, type Machine } from "../../targets/index.ts";
import type { EvaluateInput } from "../pipeline/plan.ts";
import { isLasting } from "../pipeline/verdict.ts";
import type { EvaluationCache } from "../ports.ts";
import { TorchCompiler } from "./compile.ts";
import { evaluateTorch } from "./evaluate.ts";
import { planTorch, pythonOf, torchKey } from "./plan.ts";
import { describeOrigin, gradeTorch } from "./problems.ts";
import { TorchProfiler } from "./profiling.ts";
import { TorchJudge } from "./server.ts";

export interface TorchServiceParts {
  readonly cache: EvaluationCache;
  readonly artifacts: ArtifactService;
  readonly machine: () => Machine;
  readonly graded: (problem: Problem, target: string, context: WorkContext) => Promise<Problem>;
}

/** Targets with PyTorch: evaluation, grading and reading of problems, all by one warm judge for each Python. */
export class TorchEvaluations {
  readonly #parts: TorchServiceParts;
  readonly #judges = new Map<string, TorchJudge>();
  readonly #compilers = new Map<string, TorchCompiler>();
  readonly #profilers = new Map<string, TorchProfiler>();

  constructor(parts: TorchServiceParts) {
    this.#parts = parts;
  }

  #judge(python: string): TorchJudge {
    const known = this.#judges.get(python);
    if (known !== undefined) return known;
    const made = new TorchJudge(python);
    this.#judges.set(python, made);
    return made;
  }

  #compiler(python: string): TorchCompiler {
    const known = this.#compilers.get(python);
    if (known !== undefined) return known;
    const made = new TorchCompiler(python);
    this.#compilers.set(python, made);
    return made;
  }

  #profiler(python: string): TorchProfiler {
    const known = this.#profilers.get(python);
    if (known !== undefined) return known;
    const made = new TorchProfiler(python);
    this.#profilers.set(python, made);
    return made;
  }

  async #place(spec: TargetSpec) {
    const machine = this.#parts.machine();
    return {
      spec,
      machine,
      machineName: deviceName(machine),
      environment: await probeTorch(),
      sandbox: await probeSandbox(),
    };
  }

  /** @throws as EvaluationService.evaluate. */
  async evaluate(
    input: EvaluateInput,
    options: EvaluateOptions,
    spec: TargetSpec,
    context: WorkContext,
  ): Promise<EvaluationRecord> {
    const work = planTorch(input, options, await this.#place(spec), context);
    const key = torchKey(work);
    if (options.use_cache !== false) {
      const known = this.#parts.cache.byKey(key);
      if (known !== undefined) return { ...known, cached: true };
    }
    const record = await evaluateTorch(work, {
      judge: this.#judge(work.python),
      compiler: this.#compiler(work.python),
      profiler: this.#profiler(work.python),
      artifacts: this.#parts.artifacts,
      graded: this.#parts.graded,
    });
    this.#parts.cache.put(record, isLasting(record) ? key : undefined);
    return record;
  }

  /** @throws as Grader. */
  async grade(problem: Problem, spec: TargetSpec, context: WorkContext): Promise<Grading> {
    // Any abstraction will do: grading runs the problem's own code alone.
    const abstraction = Object.keys(spec.abstractions).find((name) => name === "pytorch") ?? "triton";
    const input = { source: "# the null battery needs no candidate", problem, target: spec.id, abstraction };
    const work = planTorch(input, { stages: ["verify"] }, await this.#place(spec), context);
    return await gradeTorch(work, this.#judge(work.python));
  }

  /** @throws as Describer; missing_tool without Python and torch. */
  async describe(
    origin: Origin,
    name: string | undefined,
    context: WorkContext,
  ): Promise<{ name: string; workloads: { uuid: string; timed: boolean }[] }> {
    const python = pythonOf(await probeTorch());
    return await describeOrigin(origin, name, this.#judge(python), context);
  }

  /** Ends the warm judges with all that they started. */
  close(): void {
    for (const judge of this.#judges.values()) judge.close();
    for (const compiler of this.#compilers.values()) compiler.close();
    for (const profiler of this.#profilers.values()) profiler.close();
    this.#judges.clear();
    this.#compilers.clear();
    this.#profilers.clear();
  }
}
