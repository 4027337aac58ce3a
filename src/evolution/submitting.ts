import { candidateSourceSchema } from "../domain/candidate.ts";
import { KernelEvolveError } from "../domain/errors.ts";
import type { EvaluationRecord } from "../domain/evaluation.ts";
import type { WorkContext } from "../domain/job.ts";
import type { Claim, Node, Run, Usage } from "../domain/run.ts";
import type { SubmitInput } from "../domain/services.ts";
import { applyTunables } from "../evaluation/candidate/header.ts";
import { sha256 } from "../platform/hash.ts";
import type { EvolutionDependencies } from "./dependencies.ts";
import type { Measuring } from "./measuring.ts";
import { measuredPart } from "./node-from-record.ts";
import { duplicateKey } from "./normalise.ts";
import { newId } from "./starting.ts";
import type { RunStates } from "./states.ts";
import { requiredUsage } from "./usage.ts";

/** A claim does not expire while its child is evaluated: it is renewed with every heartbeat, and after a crash expires within this time. */
const RENEWAL_MS = 30_000;

export interface Submitted {
  readonly node: Node;
  readonly record: EvaluationRecord;
  /** The node is older than this submission: a twin, or the claim's own answer of before. */
  readonly duplicateOf: string | undefined;
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
  readonly #inFlight = new Map<string, { run: string; key: string; result: Promise<Submitted> }>();

  constructor(deps: EvolutionDependencies, states: RunStates, measuring: Measuring) {
    this.#deps = deps;
    this.#states = states;
    this.#measuring = measuring;
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
    const source = checkedSource(input);
    const rationale = checkedText(input.rationale, "rationale", 2000);
    const proposer = checkedText(input.proposer, "proposer", 200);
    const key = duplicateKey(source, run.abstraction);
    const flight = this.#inFlight.get(input.claim);
    if (flight !== undefined) {
      if (flight.key === key) return flight.result;
      throw new KernelEvolveError("conflict", `claim ${input.claim} is being answered with another source`, {
        fix: "Wait for that answer, then call evolve_next for a new claim.",
      });
    }
    const result = this.#take(run, { ...input, source, rationale, proposer }, key, context);
    this.#inFlight.set(input.claim, { run: run.id, key, result });
    try {
      return await result;
    } finally {
      this.#inFlight.delete(input.claim);
    }
  }

  async #take(run: Run, input: SubmitInput, key: string, context: WorkContext): Promise<Submitted> {
    const claim = this.#claim(run, input.claim);
    const parents = this.#parents(run, claim, input.parents);
    if (claim.node !== undefined) return this.#before(claim, claim.node, key);
    if (run.state !== "open") throw runEnded(run);
    const operator = input.operator ?? "agent";
    const usage = requiredUsage(run, operator, input.usage);
    const twin = this.#deps.graph.twin(run.id, key);
    if (twin !== undefined && twin.status !== "infrastructure_error") {
      this.#deps.graph.answerClaim(claim.id, twin.id, usage);
      return { node: twin, record: await this.#deps.evaluations.get(twin.evaluation), duplicateOf: twin.id };
    }
    const began = Date.now();
    this.#deps.graph.renewClaim(claim.id, began + RENEWAL_MS);
    const { record, seconds } = await this.#measuring
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
      key,
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
      readonly key: string;
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
      island: input.parents === undefined || first === undefined ? claim.island : first.island,
      claim: claim.id,
      proposer: input.proposer,
      ...(made.usage === undefined ? {} : { usage: made.usage }),
      created_at: new Date().toISOString(),
    };
    return graph.atomically(() => {
      const twin = graph.twin(run.id, made.key);
      if (twin !== undefined && twin.status !== "infrastructure_error" && twin.claim !== claim.id) {
        graph.answerClaim(claim.id, twin.id, made.usage);
        return { node: twin, record, duplicateOf: twin.id };
      }
      const inserted = graph.insertNode({ node, source: input.source, dedup: made.key }, made.began);
      return { node: inserted.node, record, duplicateOf: undefined };
    });
  }

  /** The answer that a claim got before. */
  async #before(claim: Claim, id: string, key: string): Promise<Submitted> {
    const { graph, evaluations } = this.#deps;
    const node = graph.node(id);
    if (node === undefined)
      throw new KernelEvolveError("corrupt", `claim ${claim.id} names node ${id}, which is not there`);
    const run = this.#states.run(claim.run);
    if (duplicateKey(graph.source(node.candidate) ?? "", run.abstraction) !== key) {
      throw new KernelEvolveError(
        "conflict",
        `claim ${claim.id} was already answered, with node ${id} and another source`,
        {
          fix: "Call evolve_next for a new claim and hand the source in there.",
        },
      );
    }
    const own = node.claim === claim.id;
    return { node, record: await evaluations.get(node.evaluation), duplicateOf: own ? undefined : node.id };
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

function checkedSource(input: SubmitInput): string {
  const parsed = candidateSourceSchema.safeParse(input.source);
  if (!parsed.success)
    throw new KernelEvolveError(
      "invalid_argument",
      `source: ${parsed.error.issues[0]?.message ?? "malformed"}`,
    );
  if (parsed.data.trim() === "") throw new KernelEvolveError("invalid_argument", "source: it is blank");
  return input.tunables === undefined ? parsed.data : applyTunables(parsed.data, input.tunables);
}

function checkedText(text: string, name: string, limit: number): string {
  if (text.length <= limit) return text;
  throw new KernelEvolveError(
    "invalid_argument",
    `${name}: ${text.length} characters, at most ${limit} are allowed`,
  );
}
