import { setTimeout as sleep } from "node:timers/promises";
import { KernelEvolveError } from "../../../src/domain/errors.ts";
import type { EvaluationRecord } from "../../../src/domain/evaluation.ts";
import type { WorkContext } from "../../../src/domain/job.ts";
import type { EvaluateOptions, EvaluationService } from "../../../src/domain/services.ts";
import { Evolution } from "../../../src/evolution/index.ts";
import { randomFrom } from "../../../src/evolution/random.ts";
import { sha256 } from "../../../src/platform/hash.ts";
import { Archive, type Store } from "../../../src/store/index.ts";
import { fakeProblems, fakeTargets, type Outcome, recordOf } from "../../evolution/fakes.ts";
import { LANDSCAPES } from "../landscape/grids.ts";
import { Landscape } from "../landscape/landscape.ts";

/** Share of simulated children that fail: the recorded kernels all pass. */
const FAILING = 0.2;

/** Outcomes that follow from a text: the recorded fitness of a real kernel, jittered, or a failure. */
export function simulatedOutcomes(): (source: string) => Outcome {
  const ratios = LANDSCAPES.flatMap((spec) =>
    new Landscape(spec).recorded.flatMap(({ speedup }) => (speedup === undefined ? [] : [speedup.ratio])),
  );
  return (source) => {
    const random = randomFrom("simulated", source);
    const ratio = random.pick(ratios) ?? 1;
    const factor = Math.exp(0.02 * random.normal());
    return random.next() < FAILING ? { status: "wrong_answer" } : { ratio: ratio * factor };
  };
}

/** Evaluations that only wait, with records in the store, so that every process over it knows them. */
export class SimulatedEvaluations implements EvaluationService {
  readonly #store: Store;
  readonly #outcome: (source: string) => Outcome;
  readonly #longestMs: number;

  constructor(store: Store, longestMs: number) {
    this.#store = store;
    this.#outcome = simulatedOutcomes();
    this.#longestMs = longestMs;
  }

  async evaluate(
    input: { source: string },
    _options: EvaluateOptions,
    work: WorkContext,
  ): Promise<EvaluationRecord> {
    await sleep(Math.random() * this.#longestMs, undefined, { signal: work.signal });
    const id = `eval_${sha256(input.source).slice(0, 24)}`;
    const record = recordOf(input.source, this.#outcome(input.source), id, 1);
    this.#store.evaluations.put(record, undefined);
    return record;
  }

  async get(id: string): Promise<EvaluationRecord> {
    const record = this.#store.evaluations.get(id);
    if (record === undefined) throw new KernelEvolveError("not_found", `no evaluation ${id}`);
    return record;
  }
}

/** The evolution service over a store, with everything but the evaluations as a server has it. */
export function simulatedEvolution(store: Store, longestMs: number): Evolution {
  return new Evolution({
    graph: store.graph,
    archive: new Archive(store.home),
    problems: fakeProblems([]),
    targets: fakeTargets,
    evaluations: new SimulatedEvaluations(store, longestMs),
  });
}
