import type { WorkContext } from "../domain/job.ts";
import type { Node, Run } from "../domain/run.ts";
import { sha256 } from "../platform/hash.ts";
import type { EvolutionDependencies } from "./dependencies.ts";
import type { Measuring } from "./measuring.ts";
import { measuredPart } from "./node-from-record.ts";
import { duplicateKey } from "./normalise.ts";
import { newId } from "./starting.ts";
import type { RunStates } from "./states.ts";
import { likenessOf } from "./twins.ts";

interface Seed {
  readonly name: string;
  readonly source: string;
  readonly note: string;
  readonly key: string;
  /** Place in the list, which decides its island. */
  readonly index: number;
}

/** Called before the first seed and after each one, with its node: takes care of what follows, and answers the run's state. */
type AfterEach = (run: string, made: Node | undefined) => Promise<Run>;

/** The draft phase: the shipped seed kernels of a problem become the first nodes of a run, each once. */
export class Drafting {
  readonly #deps: EvolutionDependencies;
  readonly #states: RunStates;
  readonly #measuring: Measuring;
  readonly #seeds = new Map<string, readonly Seed[]>();
  readonly #working = new Map<string, Promise<void>>();

  constructor(deps: EvolutionDependencies, states: RunStates, measuring: Measuring) {
    this.#deps = deps;
    this.#states = states;
    this.#measuring = measuring;
  }

  /** Whether seeds of this run are being evaluated here. */
  busy(run: string): boolean {
    return this.#working.has(run);
  }

  /** Seeds that the run has no node for yet. */
  async left(run: Run): Promise<number> {
    return run.state === "open" ? (await this.#pending(run)).length : 0;
  }

  /** Evaluates what is left, one after the other; callers at the same time wait for one and the same work. */
  async prepare(run: Run, context: WorkContext, afterEach: AfterEach): Promise<void> {
    for (;;) {
      const working = this.#working.get(run.id);
      if (working === undefined) break;
      try {
        await working;
      } catch (error) {
        // Whoever did the work was cancelled; that does not concern this caller, who takes over.
        if (context.signal.aborted) throw error;
      }
    }
    const work = this.#all(run, context, afterEach);
    this.#working.set(run.id, work);
    try {
      await work;
    } finally {
      this.#working.delete(run.id);
    }
  }

  async #all(run: Run, context: WorkContext, afterEach: AfterEach): Promise<void> {
    const pending = await this.#pending(run);
    // Whoever was waited for may have ended the run.
    let current = this.#states.run(run.id);
    for (const [at, seed] of pending.entries()) {
      if (current.state !== "open" || this.#full(current)) return;
      context.signal.throwIfAborted();
      const message = `seed ${at + 1} of ${pending.length}: ${seed.name}`;
      context.report({ progress: at, total: pending.length, message });
      const made = await this.#evaluate(current, seed, {
        signal: context.signal,
        report: (update) =>
          context.report({ progress: at, total: pending.length, message: `${message} · ${update.message}` }),
      });
      current = await afterEach(run.id, made);
    }
  }

  async #evaluate(run: Run, seed: Seed, context: WorkContext): Promise<Node | undefined> {
    const { graph } = this.#deps;
    const state = this.#states.of(run);
    const { record, seconds, signature } = await this.#measuring.measure(
      {
        run,
        source: seed.source,
        operator: "seed",
        best: null,
        benchmarkSeconds: undefined,
        screenSeconds: undefined,
      },
      context,
    );
    const { shape } = likenessOf(seed.source, run.abstraction);
    return graph.atomically(() => {
      // Another process may have been faster, or the budget may have been claimed meanwhile.
      if (graph.twin(run.id, seed.key) !== undefined) return undefined;
      if (this.#full(run)) return undefined;
      return graph.insertNode({
        node: {
          id: newId("node"),
          run: run.id,
          parents: [],
          operator: "seed",
          rationale: (seed.note === "" ? seed.name : `${seed.name}: ${seed.note}`).slice(0, 2000),
          ...measuredPart(record, run.baseline),
          candidate: sha256(seed.source),
          device_seconds: seconds,
          island: state.policy.rootIsland(seed.index, state.parameters),
          proposer: "seed",
          created_at: new Date().toISOString(),
        },
        source: seed.source,
        dedup: seed.key,
        ...(shape === undefined ? {} : { shape }),
        ...(signature === undefined ? {} : { signature }),
      }).node;
    });
  }

  /** Whether nodes and claims leave no place for a seed. */
  #full(run: Run): boolean {
    const taken = this.#states.of(run).population.size + this.#deps.graph.countOpenClaims(run.id);
    return run.budget.nodes !== undefined && taken >= run.budget.nodes;
  }

  async #pending(run: Run): Promise<readonly Seed[]> {
    if (this.#states.of(run).parameters["seeds"] === 0) return [];
    const seeds = await this.#list(run);
    return seeds.filter((seed) => this.#deps.graph.twin(run.id, seed.key) === undefined);
  }

  async #list(run: Run): Promise<readonly Seed[]> {
    const known = this.#seeds.get(run.id);
    if (known !== undefined) return known;
    const { problems } = this.#deps;
    const shipped = await problems.seeds(await problems.get(run.problem), run.target, run.abstraction);
    const keys = new Set<string>();
    const seeds = shipped.flatMap(({ name, source, note }, index): Seed[] => {
      const key = duplicateKey(source, run.abstraction);
      if (keys.has(key)) return [];
      keys.add(key);
      return [{ name, source, note, key, index }];
    });
    this.#seeds.set(run.id, seeds);
    return seeds;
  }
}
