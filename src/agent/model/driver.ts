import { setTimeout as sleep } from "node:timers/promises";
import { errorMessage, KernelEvolveError } from "../../domain/errors.ts";
import type { WorkContext } from "../../domain/job.ts";
import type { Usage } from "../../domain/run.ts";
import type {
  ArtifactService,
  Driver,
  EvolutionService,
  Expansion,
  RunOverview,
} from "../../domain/services.ts";
import { figure } from "../../evolution/operator/format.ts";
import { leftText } from "../../evolution/operator/prompt.ts";
import { usedShare } from "../../evolution/pace.ts";
import { counted } from "../../platform/text.ts";
import { Bandit, rewardOf } from "./bandit.ts";
import { Chat } from "./chat.ts";
import { ModelFailure } from "./failure.ts";
import { type Asking, CLAIM_SECONDS, propose, SYSTEM } from "./proposer.ts";
import type { ModelSettings } from "./settings.ts";
import { openServerTools } from "./tools.ts";

const WAIT_MS = 500;
const PAGE = 500;
/** The run ended, or the claim was lost, while the model thought. */
const LOST: ReadonlySet<string> = new Set(["budget_spent", "expired", "conflict"]);
/** Claims in a row, of all proposers, that led to no child: going on makes no sense then. */
const GIVE_UP = 6;

export interface ModelDriverParts {
  readonly evolution: EvolutionService;
  readonly artifacts: ArtifactService;
  /** Read when a run is driven, so that a server without a key starts. @throws what is missing */
  readonly settings: () => ModelSettings;
  /** Of the child server whose tools the model gets. */
  readonly env: NodeJS.ProcessEnv;
}

/**
 * The driver with language models: several proposers claim, ask a model with the run's own prompt and the server's tools, and hand in
 * what it answers, until the run ends. Which model of an ensemble is asked, a bandit decides from what its children were worth
 * and cost.
 */
export function modelDriver(parts: ModelDriverParts): Driver {
  return {
    name: "model",
    async drive(run, context): Promise<RunOverview> {
      const settings = parts.settings();
      await checkBudget(parts.evolution, run, settings);
      const tools = settings.toolCalls === 0 ? undefined : await openServerTools(parts.env);
      try {
        const chat = new Chat(settings, tools, SYSTEM);
        return await new Session({ ...parts, settings, chat, context }, run).drive();
      } finally {
        await tools?.close();
      }
    },
  };
}

/** A bound on cost holds only where every model has a price. @throws invalid_argument */
async function checkBudget(
  evolution: EvolutionService,
  run: string,
  { models, prices }: ModelSettings,
): Promise<void> {
  const { budget } = (await evolution.get(run)).run;
  if (budget.cost === undefined) return;
  const unknown = models.filter((model) => !Object.hasOwn(prices?.models ?? {}, model));
  if (unknown.length === 0) return;
  throw new KernelEvolveError(
    "invalid_argument",
    `the run is bounded by cost, and ${unknown.join(", ")} has no price`,
    {
      fix: "name a price table with --prices FILE or KERNELEVOLVE_PRICES: models: { NAME: { input: 2.5, output: 10 } } per million tokens; 0 for a model of your own",
    },
  );
}

class Session {
  readonly #asking: Asking;
  readonly #run: string;
  readonly #bandit: Bandit;
  readonly #priced: boolean;
  readonly #outer: WorkContext;
  readonly #stop = new AbortController();
  #overview: RunOverview | undefined;
  #share = 0;
  #barren = 0;
  #answered = false;
  #lastWhy = "";
  #failure: unknown;

  constructor(parts: Omit<Asking, "say">, run: string) {
    const { models, prices } = parts.settings;
    this.#outer = parts.context;
    const signal = AbortSignal.any([this.#outer.signal, this.#stop.signal]);
    const say = (line: string): void => this.#report(line);
    this.#asking = { ...parts, say, context: { signal, report: ({ message }) => say(message) } };
    this.#run = run;
    this.#bandit = new Bandit(models);
    this.#priced = models.every((model) => Object.hasOwn(prices?.models ?? {}, model));
  }

  async drive(): Promise<RunOverview> {
    const { evolution, settings, context } = this.#asking;
    this.#overview = await evolution.prepare(this.#run, context);
    await this.#remember();
    const names = Array.from({ length: settings.proposers }, (_, index) => `model-${index + 1}`);
    await Promise.all(names.map((name) => this.#work(name)));
    // What ended one proposer ended all: nothing is left half done behind the caller's back.
    if (this.#failure !== undefined) throw this.#failure;
    const overview = await this.#refresh();
    this.#report(overview.run.stop_reason ?? "");
    return overview;
  }

  /** One proposer, until the run ends or another proposer fails. */
  async #work(name: string): Promise<void> {
    const { context } = this.#asking;
    try {
      while ((await this.#refresh()).run.state === "open") {
        context.signal.throwIfAborted();
        const claimed = await this.#claim(name);
        if (claimed !== undefined) await this.#answer(name, claimed);
      }
    } catch (error) {
      this.#failure ??= error;
      this.#stop.abort(error);
    }
  }

  /** The next expansion; undefined when the run has ended, or others hold all that is left (after a wait). */
  async #claim(name: string): Promise<Expansion | undefined> {
    const { evolution, context } = this.#asking;
    try {
      return await evolution.next(this.#run, name, { ttl_seconds: CLAIM_SECONDS, context });
    } catch (error) {
      if (error instanceof KernelEvolveError && error.code === "budget_spent") return undefined;
      if (!(error instanceof KernelEvolveError) || error.code !== "conflict") throw error;
      await sleep(WAIT_MS, undefined, { signal: context.signal });
      return undefined;
    }
  }

  async #answer(name: string, expansion: Expansion): Promise<void> {
    const { evolution, context } = this.#asking;
    const model = this.#bandit.choose();
    if (model === undefined) {
      await evolution.release(expansion.claim.id);
      throw unusable(this.#lastWhy);
    }
    // A model that thinks when the time ends is not waited for.
    const { seconds } = (await this.#refresh()).left;
    const deadline =
      seconds === undefined
        ? undefined
        : AbortSignal.timeout(Math.min(2 ** 31 - 1, Math.ceil(seconds * 1000)));
    const signal = deadline === undefined ? context.signal : AbortSignal.any([context.signal, deadline]);
    try {
      const asking = { ...this.#asking, context: { ...context, signal } };
      const { proposal, usage } = await propose(asking, model, name, expansion);
      const worth =
        proposal.kind === "child" && !proposal.duplicate ? rewardOf(proposal.node, proposal.parents) : 0;
      this.#answered = true;
      this.#bandit.settle(model, worth, this.#price(usage));
      if (proposal.kind === "nothing") {
        this.#nothing(`${model} handed no kernel in: ${proposal.why}`);
        return;
      }
      this.#barren = 0;
      await this.#refresh();
      this.#report("");
    } catch (error) {
      context.signal.throwIfAborted();
      if (deadline?.aborted === true) return;
      if (error instanceof ModelFailure) this.#failed(model, error);
      else if (error instanceof KernelEvolveError && LOST.has(error.code)) {
        this.#bandit.withdraw(model);
        this.#nothing(errorMessage(error));
      } else throw error;
    }
  }

  /** @throws infrastructure when no model is left, or nothing comes of anything */
  #failed(model: string, failure: ModelFailure): void {
    this.#lastWhy = `${model}: ${failure.message}`;
    // An endpoint that has never answered and is asked in vain for a whole claim is not there.
    const absent = failure.reach === "passing" && !this.#answered && this.#bandit.models.length === 1;
    if (failure.reach !== "model" && !absent) {
      this.#bandit.settle(model, 0, 0);
      this.#nothing(this.#lastWhy);
      return;
    }
    this.#bandit.drop(model);
    this.#report(`${this.#lastWhy}; it is asked no more`);
    if (this.#bandit.models.length === 0) throw unusable(this.#lastWhy);
  }

  /** @throws infrastructure when that happens again and again */
  #nothing(why: string): void {
    this.#barren += 1;
    this.#lastWhy = why;
    this.#report(why);
    if (this.#barren < GIVE_UP) return;
    throw new KernelEvolveError(
      "infrastructure",
      `${GIVE_UP} claims in a row led to no kernel; the last: ${why}`,
      {
        fix: "nothing is lost: go on with the run (evolve --resume) when the endpoint answers, or with another model",
      },
    );
  }

  #price(usage: Usage): number {
    return this.#priced ? (usage.cost ?? 0) : usage.input_tokens + usage.output_tokens;
  }

  /** What the run's nodes say of the models, when it is gone on with. */
  async #remember(): Promise<void> {
    const { evolution } = this.#asking;
    const fitness = new Map<string, { fitness: number }>();
    for (let offset = 0; ; offset += PAGE) {
      const page = await evolution.nodes(this.#run, { order: "step", offset, limit: PAGE });
      for (const node of page) {
        fitness.set(node.id, node);
        const model = node.usage?.model;
        if (node.usage === undefined || model === undefined) continue;
        const parents = node.parents.flatMap((id) => fitness.get(id) ?? []);
        this.#bandit.remember(model, rewardOf(node, parents), this.#price(node.usage));
      }
      if (page.length < PAGE) return;
    }
  }

  async #refresh(): Promise<RunOverview> {
    this.#overview = await this.#asking.evolution.get(this.#run);
    return this.#overview;
  }

  #report(now: string): void {
    if (this.#overview === undefined) {
      this.#outer.report({ progress: 0, total: 1, message: now });
      return;
    }
    const { best, left, nodes, run } = this.#overview;
    const speedup = best?.speedup;
    const found =
      best === null || speedup === undefined || best.fitness === 0
        ? "no credited speedup yet"
        : `best ${figure(speedup.ratio)}× [${figure(speedup.low)}, ${figure(speedup.high)}] over ${speedup.baseline}`;
    const bounds = leftText(left);
    this.#share = Math.max(this.#share, Math.min(1, usedShare(run.budget, left)));
    const parts = [counted(nodes, "evaluation"), found, bounds === "" ? "" : `${bounds} left`, now];
    this.#outer.report({
      progress: this.#share,
      total: 1,
      message: parts.filter((part) => part !== "").join(" · "),
    });
  }
}

function unusable(why: string): KernelEvolveError {
  return new KernelEvolveError("infrastructure", `no model can be asked: ${why}`, {
    fix: "check the model's name, OPENAI_BASE_URL and OPENAI_API_KEY, then go on with the run: evolve --resume",
  });
}
