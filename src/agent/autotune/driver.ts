import { setTimeout as sleep } from "node:timers/promises";
import { KernelEvolveError } from "../../domain/errors.ts";
import type { EvaluationRecord } from "../../domain/evaluation.ts";
import type { ProgressUpdate, WorkContext } from "../../domain/job.ts";
import type { Node } from "../../domain/run.ts";
import type { Driver, EvolutionService, RunOverview } from "../../domain/services.ts";
import { figure } from "../../evolution/operator/format.ts";
import { leftText } from "../../evolution/operator/prompt.ts";
import { paceOf, usedShare } from "../../evolution/pace.ts";
import { randomFrom } from "../../evolution/random.ts";
import { counted } from "../../platform/text.ts";
import { Arms } from "./arms.ts";
import { rewrite } from "./configuration.ts";
import { follow } from "./follow.ts";
import { pointKey } from "./moves.ts";
import { describe, untriedArms } from "./propose.ts";

const NAME = "autotune";
/** Seconds in which the driver answers its claims; while it evaluates, the service renews them. */
const CLAIM_SECONDS = 10;
/** Children in a row that the machinery failed on, after which going on makes no sense. */
const GIVE_UP = 5;
const WAIT_MS = 500;
const DECLARED =
  "`// ke:tunable TILE int 32 {16,32,64}` in the header, in Python `TILE = 32  # ke:tunable int {16,32,64}`";
/** Nodes read at a time when a run that has many is taken over. */
const PAGE = 500;

export interface AutotuneOptions {
  readonly evolution: EvolutionService;
}

/**
 * The driver without a language model: it tunes what kernels declare. It takes a run as it finds it (shipped seeds, nodes of
 * agents) and works like any proposer: it claims, makes the child that the claim asks for, and hands it in. The run's policy
 * chooses the parents; which of the children that they allow is made, a Gaussian process over the tunables decides (see
 * `follow`). So a run may mix drivers: what an agent wrote is a parent like any other, and what of it is declared is tuned.
 * The choices follow from the run's seed and its measured nodes. It ends with the run's budget, or when everything that can
 * be tuned is tried.
 */
export function autotuneDriver({ evolution }: AutotuneOptions): Driver {
  return {
    name: NAME,
    async drive(run, context): Promise<RunOverview> {
      const session = new Session(evolution, run, context);
      return session.drive();
    },
  };
}

class Session {
  readonly #evolution: EvolutionService;
  readonly #run: string;
  readonly #context: WorkContext;
  readonly #depth = new Map<string, number>();
  #arms = new Arms("");
  #read = 0;
  #share = 0;
  #generation = 0;
  #void = 0;

  constructor(evolution: EvolutionService, run: string, context: WorkContext) {
    this.#evolution = evolution;
    this.#run = run;
    this.#context = context;
  }

  async drive(): Promise<RunOverview> {
    let overview = await this.#evolution.prepare(this.#run, this.#context);
    this.#arms = new Arms(overview.run.abstraction);
    while (overview.run.state === "open") {
      this.#context.signal.throwIfAborted();
      await this.#readNodes();
      this.#report(overview, "");
      if (untriedArms(this.#arms.all).length === 0) return this.#exhausted(overview);
      overview = await this.#make(overview);
    }
    await this.#readNodes();
    this.#report(overview, overview.run.stop_reason ?? "");
    return overview;
  }

  /** Claims, submits, and answers the new state. A child that time cut short is dropped, and the run ends there. */
  async #make(overview: RunOverview): Promise<RunOverview> {
    const { run } = overview;
    const pace = paceOf(run);
    const deadline =
      overview.left.seconds === undefined
        ? undefined
        : AbortSignal.timeout(Math.min(2 ** 31 - 1, Math.ceil(overview.left.seconds * 1000)));
    const signal =
      deadline === undefined ? this.#context.signal : AbortSignal.any([this.#context.signal, deadline]);
    try {
      const { claim } = await this.#evolution.next(this.#run, NAME, {
        token_budget: 0,
        ttl_seconds: CLAIM_SECONDS,
      });
      // The policy may have named a node that came in since the last look.
      await this.#readNodes();
      const proposal = follow(claim, this.#arms, randomFrom(run.seed, NAME, this.#read));
      if (proposal === undefined) return await this.#wait("all that is left to try is under way");
      const result = await this.#evolution.submit(
        {
          run: this.#run,
          claim: claim.id,
          source: rewrite(proposal.arm.template, proposal.arm.space, proposal.point),
          rationale: describe(proposal),
          proposer: NAME,
          operator: proposal.operator,
          parents: proposal.parents.map((parent) => parent.id),
          benchmark_seconds: pace.full,
          ...(pace.screen === undefined ? {} : { screen_seconds: pace.screen }),
        },
        { signal, report: (update) => this.#report(overview, update.message) },
      );
      // A twin made by someone else meanwhile: known now, so that it is not proposed again.
      proposal.arm.tried.add(pointKey(proposal.point));
      this.#checkMachinery(result.record);
      return result.overview;
    } catch (error) {
      if (this.#context.signal.aborted) throw error;
      // The time ended during this child: the run has ended with it, on the dot.
      if (deadline?.aborted === true) return this.#evolution.get(this.#run);
      // Others hold the last places: theirs may come back.
      if (error instanceof KernelEvolveError && error.code === "conflict") return this.#wait(error.message);
      if (error instanceof KernelEvolveError && error.code === "budget_spent")
        return this.#evolution.get(this.#run);
      throw error;
    }
  }

  /** @throws infrastructure with the cause when nothing has been judged for a while: no kernel is to blame for that. */
  #checkMachinery(record: EvaluationRecord): void {
    this.#void = record.status === "infrastructure_error" ? this.#void + 1 : 0;
    if (this.#void < GIVE_UP) return;
    const cause = record.reasons[0]?.message ?? "no reason given";
    throw new KernelEvolveError(
      "infrastructure",
      `${GIVE_UP} evaluations in a row failed in the machinery: ${cause}`,
      {
        fix: "Run `kernelevolve doctor`, then go on with the run by its id.",
      },
    );
  }

  async #wait(why: string): Promise<RunOverview> {
    const overview = await this.#evolution.get(this.#run);
    this.#report(overview, `waiting: ${why}`);
    await sleep(WAIT_MS, undefined, { signal: this.#context.signal });
    return this.#evolution.get(this.#run);
  }

  /** @throws unsupported when the run has nothing that declares what to tune, with how to declare it. */
  async #exhausted(overview: RunOverview): Promise<RunOverview> {
    const { run, nodes } = overview;
    if (this.#arms.all.length === 0) {
      const what =
        nodes === 0
          ? "has no kernel yet, and none ships for its problem"
          : "has no kernel that declares tunables";
      throw new KernelEvolveError("unsupported", `nothing to tune: run ${run.id} on ${run.target} ${what}`, {
        fix: `Hand in a kernel that declares some (evolve_next, evolve_submit, or the model driver): ${DECLARED}. Then go on with --resume ${run.id}.`,
      });
    }
    this.#report(overview, "every declared configuration has been tried");
    // A run that agents go on with stays open.
    return this.#evolution.get(this.#run);
  }

  /** Takes in nodes that others, or this driver, have added since the last look. */
  async #readNodes(): Promise<void> {
    for (;;) {
      const page = await this.#evolution.nodes(this.#run, { order: "step", offset: this.#read, limit: PAGE });
      for (const node of page) {
        const { source } = await this.#evolution.node(node.id);
        this.#arms.add(node, source);
        this.#deepen(node);
      }
      this.#read += page.length;
      if (page.length < PAGE) return;
    }
  }

  /** The generation is the longest line of descent so far. */
  #deepen(node: Node): void {
    const depth = 1 + Math.max(-1, ...node.parents.map((id) => this.#depth.get(id) ?? 0));
    this.#depth.set(node.id, depth);
    this.#generation = Math.max(this.#generation, depth);
  }

  #report(overview: RunOverview, now: string): void {
    this.#share = Math.max(this.#share, Math.min(1, usedShare(overview.run.budget, overview.left)));
    this.#context.report(progressOf(overview, this.#generation, this.#share, now));
  }
}

/** One line: generation, evaluations, best speedup with its interval, what is left, what is going on. */
function progressOf(overview: RunOverview, generation: number, share: number, now: string): ProgressUpdate {
  const { best } = overview;
  const speedup = best?.speedup;
  const found =
    best === null || speedup === undefined || best.fitness === 0
      ? "no credited speedup yet"
      : `best ${figure(speedup.ratio)}× [${figure(speedup.low)}, ${figure(speedup.high)}] over ${speedup.baseline}`;
  const left = leftText(overview.left);
  const parts = [
    `generation ${generation}`,
    counted(overview.nodes, "evaluation"),
    found,
    left === "" ? "" : `${left} left`,
    now,
  ];
  return { progress: share, total: 1, message: parts.filter((part) => part !== "").join(" · ") };
}
