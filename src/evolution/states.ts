import { KernelEvolveError } from "../domain/errors.ts";
import type { Node, Run, Spent } from "../domain/run.ts";
import type { RunOverview } from "../domain/services.ts";
import type { GraphRepository, Used } from "../store/index.ts";
import { cellOf, FeatureReader } from "./selection/features.ts";
import { type Policy, Population, policies, resolveParameters } from "./selection/index.ts";
import type { Parameters } from "./selection/policy.ts";
import { budgetLeft } from "./termination.ts";

/** Failures in a row up to which a node counts as frontier where the policy has no such parameter. */
const REPAIR_DEPTH = 3;

/** What is kept in memory of one run. All of it follows from the store, and is read on from there. */
export class RunState {
  readonly policy: Policy;
  readonly parameters: Parameters;
  readonly population: Population;
  #deviceSeconds = 0;
  #passed = 0;
  #best: Node | null = null;
  #bestStep = -1;

  /** `sourceOf` reads the source of a candidate: asked only where the policy sorts nodes by their structure. */
  constructor(run: Run, sourceOf: (candidate: string) => string | undefined) {
    this.policy = policies[run.policy];
    this.parameters = resolveParameters(this.policy, run.policy_params);
    const reader = new FeatureReader(run.abstraction);
    this.population = new Population(
      this.policy.cells === true
        ? (node) => cellOf(reader.read(sourceOf(node.candidate) ?? "", node))
        : undefined,
      this.policy.trees === true,
    );
  }

  /** Takes in nodes in step order, from this process or another. */
  absorb(nodes: readonly Node[]): void {
    const fresh = nodes.filter((node) => node.step > this.population.lastStep);
    this.population.addAll(fresh);
    for (const node of fresh) {
      this.#deviceSeconds += node.device_seconds;
      if (node.verdict === "passed") this.#passed += 1;
      if (node.fitness > (this.#best?.fitness ?? 0)) {
        this.#best = node;
        this.#bestStep = node.step;
      }
    }
  }

  /** The node of highest fitness, null while none is credited. */
  get best(): Node | null {
    return this.#best;
  }

  get passed(): number {
    return this.#passed;
  }

  /** What may be expanded now: every passed node, and failed leaves that are worth a repair. */
  get frontier(): number {
    const depth = this.parameters["repair_depth"] ?? REPAIR_DEPTH;
    return this.population.elite().length + this.population.repairableCount(depth);
  }

  spent(seconds: number, used: Used): Spent {
    const nodes = this.population.size;
    return {
      nodes,
      seconds,
      device_seconds: this.#deviceSeconds,
      since_best: this.#best === null ? nodes : this.population.lastStep - this.#bestStep,
      tokens: used.tokens,
      cost: used.cost,
    };
  }
}

/** The states of all runs that were asked for. */
export class RunStates {
  readonly #graph: GraphRepository;
  readonly #states = new Map<string, RunState>();

  constructor(graph: GraphRepository) {
    this.#graph = graph;
  }

  /** @throws not_found */
  run(id: string): Run {
    const run = this.#graph.run(id);
    if (run === undefined) {
      throw new KernelEvolveError("not_found", `run: there is no run ${JSON.stringify(id.slice(0, 80))}`, {
        fix: "evolve_status without a run lists the runs there are; evolve_start opens one",
      });
    }
    return run;
  }

  #fresh(run: Run): RunState {
    return new RunState(run, (candidate) => this.#graph.source(candidate));
  }

  /** The run's state, up to date with the store: only nodes after the last known step are read. */
  of(run: Run): RunState {
    const known = this.#states.get(run.id);
    const state = known ?? this.#fresh(run);
    if (known === undefined) this.#states.set(run.id, state);
    state.absorb(this.#graph.nodes(run.id, { after_step: state.population.lastStep, order: "step" }));
    return state;
  }

  /**
   * The run as it stood when `step` had been recorded. Seconds are those from its start to that node's record, pauses among
   * them; claims and states of those days are not kept.
   */
  overviewAt(run: Run, step: number): RunOverview {
    const state = this.#fresh(run);
    const nodes = this.#graph.nodes(run.id, { up_to_step: step, order: "step" });
    state.absorb(nodes);
    const last = nodes.at(-1)?.created_at ?? run.created_at;
    const spent = state.spent(
      Math.max(0, (Date.parse(last) - Date.parse(run.created_at)) / 1000),
      this.#graph.usedUntil(run.id, last),
    );
    return {
      run,
      spent,
      left: budgetLeft(run.budget, spent),
      best: state.best,
      nodes: spent.nodes,
      passed: state.passed,
      frontier: state.frontier,
      open_claims: 0,
      seeds_left: 0,
    };
  }

  overview(run: Run, seedsLeft: number): RunOverview {
    const state = this.of(run);
    const spent = state.spent(this.#graph.activeSeconds(run.id), this.#graph.used(run.id));
    return {
      run,
      spent,
      left: budgetLeft(run.budget, spent),
      best: state.best,
      nodes: spent.nodes,
      passed: state.passed,
      frontier: state.frontier,
      open_claims: this.#graph.countOpenClaims(run.id),
      seeds_left: seedsLeft,
    };
  }
}
