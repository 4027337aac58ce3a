import { KernelEvolveError } from "../domain/errors.ts";
import type { EvaluationRecord } from "../domain/evaluation.ts";
import type { WorkContext } from "../domain/job.ts";
import type { Claim, Node, Run, Usage } from "../domain/run.ts";
import type { SubmitInput } from "../domain/services.ts";
import { sha256 } from "../platform/hash.ts";
import { changeSummary } from "./changes.ts";
import { checkedSubmission } from "./checking.ts";
import type { EvolutionDependencies } from "./dependencies.ts";
import type { Measuring } from "./measuring.ts";
import { measuredPart } from "./node-from-record.ts";
import { newId } from "./starting.ts";
import type { RunStates } from "./states.ts";
import { type Likeness, likenessOf, type Twin, Twins } from "./twins.ts";
import { requiredUsage } from "./usage.ts";

/** A claim does not expire while its child is evaluated: it is renewed with every heartbeat, and after a crash expires within this time. */
const RENEWAL_MS = 30_000;

export interface Submitted {
  readonly node: Node;
  readonly record: EvaluationRecord;
  /** The node is older than this submission: a twin, or the claim's own answer of before. */
  readonly duplicateOf: string | undefined;
  /** How it is the same as that node: its parent's own source, but for comments and blanks, or but for names and order. */
  readonly alike: "unchanged" | "text" | "names" | undefined;
  /** What the source changes against its first parent; undefined for a draft. */
  readonly changed: string | undefined;
}

/**
 * Takes children in. Idempotent by claim and source: while an evaluation runs a second submission joins it, afterwards it is
 * answered with the node made. Nothing is acknowledged before the store has it on disk; a crash in between leaves the
 * claim open and the evaluation cached, so that handing in again costs little.
 */
export class Submitting {
  readonly #deps: EvolutionDependencies;
  readonly #states: RunStates;
  readonly #measuring: Measuring;
  readonly #twins: Twins;
  readonly #inFlight = new Map<string, { run: string; key: string; result: Promise<Submitted> }>();

  constructor(deps: EvolutionDependencies, states: RunStates, measuring: Measuring) {
    this.#deps = deps;
    this.#states = states;
    this.#measuring = measuring;
    this.#twins = new Twins(deps.graph);
  }

  /** Whether an evaluation of this run is under way here. */
  busy(run: string): boolean {
    for (const entry of this.#inFlight.values()) if (entry.run === run) return true;
    return false;
  }

  /** Renews the claims of a run whose children are being evaluated here. */
  renew(run: string): void {
    for (const [claim, entry] of this.#inFlight) {
      if (entry.run === run) this.#deps.graph.renewClaim(claim, Date.now() + RENEWAL_MS);
    }
  }

  async submit(run: Run, input: SubmitInput, context: WorkContext): Promise<Submitted> {
    const checked = checkedSubmission(run, input);
    const likeness = likenessOf(checked.source, run.abstraction);
    const { key } = likeness;
    const flight = this.#inFlight.get(input.claim);
    if (flight !== undefined) {
      if (flight.key === key) return flight.result;
      throw new KernelEvolveError("conflict", `claim ${input.claim} is being answered with another source`, {
        fix: "Wait for that answer, then call evolve_next for a new claim.",
      });
    }
    const result = this.#take(run, checked, likeness, context);
    this.#inFlight.set(input.claim, { run: run.id, key, result });
    try {
      return await result;
    } finally {
      this.#inFlight.delete(input.claim);
    }
  }

  async #take(run: Run, input: SubmitInput, likeness: Likeness, context: WorkContext): Promise<Submitted> {
    const claim = this.#claim(run, input.claim);
    const parents = this.#parents(run, claim, input.parents);
    if (claim.node !== undefined) return this.#before(claim, claim.node, input.source, likeness);
    if (run.state !== "open") throw runEnded(run);
    const operator = input.operator ?? "agent";
    const usage = requiredUsage(run, operator, input.usage);
    const twin = this.#twins.find(run, input.source, likeness);
    if (twin !== undefined) {
      this.#deps.graph.answerClaim(claim.id, twin.node.id, usage);
      const record = await this.#deps.evaluations.get(twin.node.evaluation);
      return this.#duplicate(twin, claim, record, input.source);
    }
    const began = Date.now();
    this.#deps.graph.renewClaim(claim.id, began + RENEWAL_MS);
    const { record, seconds, signature } = await this.#measuring
      .measure(
        {
          run,
          source: input.source,
          operator,
          best: this.#states.of(run).best,
          benchmarkSeconds: input.benchmark_seconds,
          screenSeconds: input.screen_seconds,
        },
        context,
      )
      .catch((error: unknown) => {
        // An agent may hand its child in again with the same claim; a tuner makes another child.
        if (operator !== "agent" && context.signal.aborted) this.#deps.graph.releaseClaim(claim.id);
        throw error;
      });
    const made = this.#record(run, input, {
      claim,
      parents,
      operator,
      likeness,
      signature,
      record,
      seconds,
      began,
      usage,
    });
    if (made.duplicateOf === undefined) return made;
    return { ...made, record: await this.#deps.evaluations.get(made.node.evaluation) };
  }

  /** Writes the node, unless a twin came in while this one was measured. */
  #record(
    run: Run,
    input: SubmitInput,
    made: {
      readonly claim: Claim;
      readonly parents: readonly Node[];
      readonly operator: Node["operator"];
      readonly likeness: Likeness;
      readonly signature: string | undefined;
      readonly record: EvaluationRecord;
      readonly seconds: number;
      readonly began: number;
      readonly usage: Usage | undefined;
    },
  ): Submitted {
    const { graph } = this.#deps;
    const { claim, record } = made;
    const [first] = made.parents;
    const node: Omit<Node, "step"> = {
      id: newId("node"),
      run: run.id,
      parents: made.parents.map((parent) => parent.id),
      operator: made.operator,
      rationale: input.rationale,
      ...measuredPart(record, run.baseline),
      candidate: sha256(input.source),
      device_seconds: made.seconds,
      // An agent that chose other parents works where they are; a tuner fills the island that the policy serves.
      island:
        made.operator === "agent" && input.parents !== undefined && first !== undefined
          ? first.island
          : claim.island,
      claim: claim.id,
      proposer: input.proposer,
      ...(made.usage === undefined ? {} : { usage: made.usage }),
      ...(input.deferred === undefined || input.deferred.length === 0
        ? {}
        : { deferred: [...input.deferred] }),
      ...(input.transcript === undefined ? {} : { transcript: input.transcript }),
      ...(claim.memory === undefined ? {} : { memory: claim.memory }),
      ...(claim.prior_kernels === undefined ? {} : { prior_kernels: claim.prior_kernels }),
      created_at: new Date().toISOString(),
    };
    return graph.atomically(() => {
      const twin = this.#twins.find(run, input.source, made.likeness);
      if (twin !== undefined && twin.node.claim !== claim.id) {
        graph.answerClaim(claim.id, twin.node.id, made.usage);
        return this.#duplicate(twin, claim, record, input.source);
      }
      const { key, shape } = made.likeness;
      const inserted = graph.insertNode(
        {
          node,
          source: input.source,
          dedup: key,
          ...(shape === undefined ? {} : { shape }),
          ...(made.signature === undefined ? {} : { signature: made.signature }),
        },
        made.began,
      );
      const changed = this.#changed(inserted.node.parents, input.source);
      return { node: inserted.node, record, duplicateOf: undefined, alike: undefined, changed };
    });
  }

  /** The answer to a source that the run has already. */
  #duplicate(twin: Twin, claim: Claim, record: EvaluationRecord, source: string): Submitted {
    const unchanged = twin.alike === "text" && claim.parents.includes(twin.node.id);
    return {
      node: twin.node,
      record,
      duplicateOf: twin.node.id,
      alike: unchanged ? "unchanged" : twin.alike,
      changed: this.#changed(claim.parents, source),
    };
  }

  #changed(parents: readonly string[], source: string): string | undefined {
    const [first] = parents;
    const parent = first === undefined ? undefined : this.#deps.graph.node(first);
    const before = parent === undefined ? undefined : this.#deps.graph.source(parent.candidate);
    return before === undefined ? undefined : changeSummary(before, source);
  }

  /** The answer that a claim got before. */
  async #before(claim: Claim, id: string, source: string, likeness: Likeness): Promise<Submitted> {
    const { graph, evaluations } = this.#deps;
    const node = graph.node(id);
    if (node === undefined)
      throw new KernelEvolveError("corrupt", `claim ${claim.id} names node ${id}, which is not there`);
    const run = this.#states.run(claim.run);
    const alike = this.#twins.alike(graph.source(node.candidate) ?? "", source, likeness, run.abstraction);
    if (alike === undefined) {
      throw new KernelEvolveError(
        "conflict",
        `claim ${claim.id} was already answered, with node ${id} and another source`,
        {
          fix: "Call evolve_next for a new claim and hand the source in there.",
        },
      );
    }
    const record = await evaluations.get(node.evaluation);
    if (node.claim !== claim.id) return this.#duplicate({ node, alike }, claim, record, source);
    const changed = this.#changed(node.parents, source);
    return { node, record, duplicateOf: undefined, alike: undefined, changed };
  }

  #claim(run: Run, id: string): Claim {
    const claim = this.#deps.graph.claim(id);
    if (claim === undefined) {
      throw new KernelEvolveError(
        "not_found",
        `claim: there is no claim ${JSON.stringify(id.slice(0, 80))}`,
        {
          fix: `Call evolve_next on run ${run.id} for one.`,
        },
      );
    }
    if (claim.run !== run.id) {
      throw new KernelEvolveError(
        "invalid_argument",
        `claim: ${id} belongs to run ${claim.run}, not to ${run.id}`,
      );
    }
    if (claim.state === "expired") {
      throw run.state === "open"
        ? new KernelEvolveError(
            "expired",
            `claim: ${id} expired at ${claim.expires_at}; its place went back to the frontier`,
            {
              fix: `Nothing is lost: call evolve_next on run ${run.id} and hand the same source in with the new claim${
                claim.parents.length === 0 ? "" : ` and parents ${JSON.stringify(claim.parents)}`
              }.`,
            },
          )
        : runEnded(run);
    }
    return claim;
  }

  #parents(run: Run, claim: Claim, given: readonly string[] | undefined): Node[] {
    const ids = [...new Set(given ?? claim.parents)];
    if (ids.length > 2)
      throw new KernelEvolveError("invalid_argument", `parents: ${ids.length} given, a node has two at most`);
    return ids.map((id) => {
      const node = this.#deps.graph.node(id);
      if (node === undefined || node.run !== run.id) {
        throw new KernelEvolveError(
          "invalid_argument",
          `parents: ${JSON.stringify(id.slice(0, 80))} is not a node of run ${run.id}`,
        );
      }
      return node;
    });
  }
}

/** The refusal of a run that has ended. */
export function runEnded(run: Run): KernelEvolveError {
  return new KernelEvolveError(
    "budget_spent",
    `run ${run.id} is ${run.state}: ${run.stop_reason ?? "no reason given"}`,
    {
      fix: "Take the result with evolve_export, or open another run with evolve_start.",
    },
  );
}
