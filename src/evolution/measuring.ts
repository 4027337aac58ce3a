import type { EvaluationRecord, Stage } from "../domain/evaluation.ts";
import type { WorkContext } from "../domain/job.ts";
import type { Problem } from "../domain/problem.ts";
import type { Node, Run } from "../domain/run.ts";
import type { EvolutionDependencies } from "./dependencies.ts";
import { deviceSeconds, fitnessOf, overallSpeedup } from "./node-from-record.ts";
import { duplicateKey } from "./normalise.ts";
import { errorSignature } from "./operator/signature.ts";
import { paceOf } from "./pace.ts";

export interface MeasureInput {
  readonly run: Run;
  readonly source: string;
  readonly operator: Node["operator"];
  /** The best node so far: a screened child is measured in full only when it may beat this one. */
  readonly best: Node | null;
  readonly benchmarkSeconds: number | undefined;
  readonly screenSeconds: number | undefined;
}

export interface Measured {
  readonly record: EvaluationRecord;
  /** Of the device. */
  readonly seconds: number;
  readonly signature?: string;
}

/** Evaluates candidates of runs, with the stages and lengths that suit who proposed them. */
export class Measuring {
  readonly #deps: EvolutionDependencies;
  readonly #problems = new Map<string, Problem>();

  constructor(deps: EvolutionDependencies) {
    this.#deps = deps;
  }

  /** The graded problem of a run; graded once in the life of the process. */
  async problem(run: Run, context: WorkContext): Promise<Problem> {
    const key = `${run.problem}|${run.target}`;
    const known = this.#problems.get(key);
    if (known !== undefined) return known;
    const { problems } = this.#deps;
    const graded = await problems.graded(await problems.get(run.problem), run.target, context);
    this.#problems.set(key, graded);
    return graded;
  }

  /**
   * The record of a source, and the device seconds of all its measurements: a screening, if it is left a contender a full one, and
   * if that makes it the best by less than is certain a second, which then counts. Of a failure also its signature.
   */
  async measure(input: MeasureInput, context: WorkContext): Promise<Measured> {
    const measured = this.#charged(input, await this.#measure(input, context));
    const problem = await this.problem(input.run, context);
    const signature = errorSignature(measured.record, input.source, {
      op_type: problem.definition.op_type,
      timed: new Set(problem.workloads.flatMap((one) => (one.role === "timed" ? [one.uuid] : []))),
    });
    return signature === undefined ? measured : { ...measured, signature };
  }

  /**
   * What the run of a control has measured already is answered from the cache, and charged to the control at what it took
   * then: else its budget would go further than the run's.
   */
  #charged({ run, source }: MeasureInput, measured: Measured): Measured {
    if (run.control_of === undefined || measured.seconds > 0) return measured;
    const before = this.#deps.graph.twin(run.control_of, duplicateKey(source, run.abstraction));
    return before === undefined ? measured : { ...measured, seconds: before.device_seconds };
  }

  async #measure(input: MeasureInput, context: WorkContext): Promise<Measured> {
    const { run } = input;
    const full = input.benchmarkSeconds ?? paceOf(run).full;
    const problem = await this.problem(run, context);
    const stages = await this.#stages(run, input.operator);
    const candidate = { source: input.source, problem, target: run.target, abstraction: run.abstraction };
    const screen = input.screenSeconds;
    let spent = 0;
    if (screen !== undefined && screen < full && input.best !== null) {
      const first = await this.#deps.evaluations.evaluate(
        candidate,
        { stages, benchmark_seconds: screen },
        context,
      );
      spent = deviceSeconds(first);
      if (!mayBeat(first, input.best, run.baseline)) return { record: first, seconds: spent };
    }
    const record = await this.#deps.evaluations.evaluate(
      candidate,
      { stages, benchmark_seconds: full },
      context,
    );
    spent += deviceSeconds(record);
    if (input.best === null || !barelyBeats(record, input.best, run.baseline))
      return { record, seconds: spent };
    // The highest of many uncertain figures is too high: a second measurement, which nothing has chosen, is the one that counts.
    const again = await this.#deps.evaluations.evaluate(
      candidate,
      { stages, benchmark_seconds: full, use_cache: false },
      context,
    );
    spent += deviceSeconds(again);
    return { record: again.status === "infrastructure_error" ? record : again, seconds: spent };
  }

  /** Tuned children inherit the diagnosis of their structure, so only others are profiled, where the target can. */
  async #stages(run: Run, operator: Node["operator"]): Promise<Stage[]> {
    const stages: Stage[] = ["compile", "verify", "benchmark"];
    if (operator !== "agent" && operator !== "seed") return stages;
    const status = await this.#deps.targets.status(run.target);
    return status.capabilities.profile ? [...stages, "profile"] : stages;
  }
}

/** Whether a candidate would be the best node by a figure whose interval meets that of the best so far. */
function barelyBeats(record: EvaluationRecord, best: Node, baseline: string): boolean {
  const speedup = overallSpeedup(record, baseline);
  if (speedup === undefined || fitnessOf(record, baseline) <= best.fitness) return false;
  return speedup.low <= (best.speedup?.high ?? best.fitness);
}

/** Whether a short measurement leaves it open that a candidate is faster than the best node. */
function mayBeat(record: EvaluationRecord, best: Node, baseline: string): boolean {
  if (record.verdict !== "passed") return false;
  const speedup = overallSpeedup(record, baseline);
  if (speedup === undefined) return record.status === "too_noisy";
  return speedup.high >= (best.speedup?.low ?? best.fitness);
}
