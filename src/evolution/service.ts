import { KernelEvolveError } from "../domain/errors.ts";
import type { WorkContext } from "../domain/job.ts";
import type { Node, Run, Usage } from "../domain/run.ts";
import type { EvolutionService, Expansion, RunOverview, SubmitInput } from "../domain/services.ts";
import { ActivityClock } from "./activity.ts";
import { Archiving } from "./archiving.ts";
import { bookClaim, claimSeconds } from "./claiming.ts";
import { controlRun } from "./control.ts";
import type { EvolutionDependencies } from "./dependencies.ts";
import { Drafting } from "./drafting.ts";
import { expansionPrompt } from "./expanding.ts";
import { buildModel } from "./export/build.ts";
import { reportMarkdown } from "./export/markdown.ts";
import type { ReportModel } from "./export/model.ts";
import { reportHtml } from "./export/page.ts";
import { distilledSkill } from "./export/skill.ts";
import { writeExport } from "./export/write.ts";
import { Measuring } from "./measuring.ts";
import { DEFAULT_TOKEN_BUDGET, MIN_TOKEN_BUDGET } from "./operator/prompt.ts";
import { checkedMemory, newRun } from "./starting.ts";
import { RunStates } from "./states.ts";
import { runEnded, Submitting } from "./submitting.ts";
import { stopReason } from "./termination.ts";
import { checkedKey, checkedUsage } from "./usage.ts";

/** For work that nobody watches. */
const UNWATCHED: WorkContext = { signal: new AbortController().signal, report: () => undefined };
/** Nodes answered at once when the caller sets no limit. */
const NODES = 100;

/**
 * Runs over the store: the store holds all state, so that any process can go on with a run after a crash. Parts:
 * drafting (seeds), claiming (policies), expanding (prompts), submitting (children), activity (time), archiving (git).
 */
export class Evolution implements EvolutionService {
  readonly #deps: EvolutionDependencies;
  readonly #states: RunStates;
  readonly #drafting: Drafting;
  readonly #submitting: Submitting;
  readonly #archiving: Archiving;
  readonly #clock: ActivityClock;

  constructor(deps: EvolutionDependencies) {
    this.#deps = deps;
    this.#states = new RunStates(deps.graph);
    const measuring = new Measuring(deps);
    this.#drafting = new Drafting(deps, this.#states, measuring);
    this.#submitting = new Submitting(deps, this.#states, measuring);
    this.#archiving = new Archiving(deps);
    this.#clock = new ActivityClock(deps.graph, (run) => {
      this.#submitting.renew(run);
      return this.#submitting.busy(run) || this.#drafting.busy(run) || deps.graph.countOpenClaims(run) > 0;
    });
  }

  async start(input: Parameters<EvolutionService["start"]>[0]): Promise<Run> {
    return this.#deps.graph.createRun(await newRun(input, this.#deps), input.idempotency_key);
  }

  async control(run: string): Promise<Run> {
    const { spent } = this.#states.overview(this.#settle(run), 0);
    return controlRun(this.#deps.graph, run, spent);
  }

  async get(run: string, options: { as_of?: number } = {}): Promise<RunOverview> {
    const current = this.#settle(run);
    return options.as_of === undefined
      ? await this.#overview(current)
      : this.#states.overviewAt(current, options.as_of);
  }

  async list(): Promise<RunOverview[]> {
    return Promise.all(this.#deps.graph.runs().map((run) => this.#overview(this.#settle(run.id))));
  }

  async nodes(run: string, filter: Parameters<EvolutionService["nodes"]>[1] = {}): Promise<Node[]> {
    this.#states.run(run);
    return this.#deps.graph.nodes(run, { ...filter, limit: filter.limit ?? NODES });
  }

  async node(id: string): Promise<{ node: Node; source: string; ancestors: Node[] }> {
    const { graph } = this.#deps;
    const node = graph.node(id);
    if (node === undefined)
      throw new KernelEvolveError("not_found", `node: there is no node ${JSON.stringify(id.slice(0, 80))}`);
    return { node, source: sourceOf(graph.source(node.candidate), node), ancestors: graph.ancestors(id) };
  }

  async prompt(claim: string): Promise<string> {
    const prompt = this.#deps.graph.prompt(claim);
    if (prompt === undefined || prompt === "") {
      const why = prompt === undefined ? "there is no such claim" : "it was given without a prompt";
      throw new KernelEvolveError("not_found", `claim ${JSON.stringify(claim.slice(0, 80))}: ${why}`, {
        fix: "evolve_status with a node names the claim that it answered",
      });
    }
    return prompt;
  }

  async prepare(run: string, context: WorkContext): Promise<RunOverview> {
    const current = this.#settle(run);
    if (current.state === "open" && (await this.#drafting.left(current)) > 0) {
      this.#clock.touch(run);
      await this.#drafting.prepare(current, context, async (id, made) => {
        await this.#archiving.add(id, made);
        this.#clock.touch(id);
        return this.#settle(id);
      });
    }
    return this.get(run);
  }

  async next(
    run: string,
    proposer: string,
    options: Parameters<EvolutionService["next"]>[2] = {},
  ): Promise<Expansion> {
    const ttl = claimSeconds(options.ttl_seconds);
    const tokenBudget = checkedTokens(options.token_budget);
    const memory = checkedMemory(options.memory);
    if (proposer.length > 200)
      throw new KernelEvolveError("invalid_argument", "proposer: at most 200 characters are allowed");
    await this.prepare(run, options.context ?? UNWATCHED);
    const { graph } = this.#deps;
    const current = this.#settle(run);
    if (current.state !== "open") throw runEnded(current);
    const { claim, ordinal } = bookClaim(graph, this.#states, current, proposer, ttl, memory);
    this.#clock.touch(run);
    try {
      const parents = claim.parents.flatMap((id) => graph.node(id) ?? []);
      const prompt =
        tokenBudget === 0
          ? undefined
          : await expansionPrompt(this.#deps, {
              run: current,
              claim,
              parents,
              overview: await this.#overview(current),
              tokenBudget,
              ordinal,
            });
      const cited = prompt && { documents: prompt.documents, prior_kernels: prompt.kernels };
      return {
        claim: (prompt && graph.setPrompt(claim.id, prompt.text, cited)) ?? claim,
        prompt: prompt?.text ?? "",
        parents: parents.map((node) => ({ node, source: sourceOf(graph.source(node.candidate), node) })),
      };
    } catch (error) {
      graph.releaseClaim(claim.id);
      throw error;
    }
  }

  async submit(input: SubmitInput, context: WorkContext): ReturnType<EvolutionService["submit"]> {
    const run = this.#settle(input.run);
    if (run.state === "open") this.#clock.touch(run.id);
    const { node, record, duplicateOf, alike, changed } = await this.#submitting.submit(run, input, context);
    if (run.state === "open") this.#clock.touch(run.id);
    await this.#archiving.add(run.id, this.#deps.graph.node(node.id));
    const overview = await this.get(run.id);
    return {
      node: this.#deps.graph.node(node.id) ?? node,
      record,
      overview,
      finished: overview.run.state !== "open",
      ...(duplicateOf === undefined ? {} : { duplicate_of: duplicateOf }),
      ...(alike === undefined ? {} : { alike }),
      ...(changed === undefined ? {} : { changed }),
    };
  }

  async charge(run: string, key: string, usage: Usage): Promise<RunOverview> {
    this.#states.run(run);
    this.#deps.graph.addUsage(run, checkedKey(key), checkedUsage(usage));
    return this.get(run);
  }

  async renew(claim: string, seconds: number): Promise<void> {
    this.#deps.graph.renewClaim(claim, Date.now() + claimSeconds(seconds) * 1000);
  }

  async release(claim: string): Promise<void> {
    this.#deps.graph.releaseClaim(claim);
  }

  async stop(run: string, reason: string): Promise<RunOverview> {
    const current = this.#settle(run);
    if (current.state === "open") this.#end(current, "cancelled", reason.slice(0, 500));
    return this.get(run);
  }

  async report(run: string, format: "html" | "markdown", context: WorkContext): Promise<string> {
    const model = await this.#model(run, context);
    return format === "html" ? reportHtml(model) : reportMarkdown(model);
  }

  async lesson(run: string, context: WorkContext): Promise<{ title: string; text: string } | undefined> {
    const model = await this.#model(run, context);
    const skill = distilledSkill(model);
    const { definition } = model.problem;
    return skill === undefined
      ? undefined
      : { title: `What run ${run} taught on ${definition.name}`, text: skill.text };
  }

  async export(run: string, directory: string, context: WorkContext): ReturnType<EvolutionService["export"]> {
    const model = await this.#model(run, context);
    return {
      files: await writeExport(model, directory, (entry) =>
        entry.node.claim === undefined || entry.node.operator !== "agent"
          ? undefined
          : this.#deps.graph.prompt(entry.node.claim),
      ),
      best: model.overview.best,
    };
  }

  async #model(run: string, context: WorkContext): Promise<ReportModel> {
    const control = this.#deps.graph.controlOf(run);
    return await buildModel(
      this.#deps,
      { run: await this.get(run), control: control && (await this.get(control.id)) },
      context,
    );
  }

  /** Ends heartbeats and waits for the archive. Runs stay open: they are gone on with by whoever opens the store next. */
  async close(): Promise<void> {
    this.#clock.close();
    await this.#archiving.settled();
  }

  /** The run as it stands now: its time counted, and ended when its budget says so. */
  #settle(id: string): Run {
    const run = this.#states.run(id);
    if (run.state !== "open") return run;
    this.#clock.settle(id);
    const state = this.#states.of(run);
    const reason = stopReason(run.budget, {
      spent: state.spent(this.#deps.graph.activeSeconds(id), this.#deps.graph.used(id)),
      best: state.best,
    });
    return reason === null ? run : this.#end(run, "finished", reason);
  }

  #end(run: Run, state: "finished" | "cancelled", reason: string): Run {
    const { graph } = this.#deps;
    return graph.atomically(() => {
      const current = this.#states.run(run.id);
      // The first reason stands: another process may have ended it.
      if (current.state !== "open") return current;
      const ended: Run = { ...current, state, stop_reason: reason, finished_at: new Date().toISOString() };
      graph.updateRun(ended);
      return ended;
    });
  }

  async #overview(run: Run): Promise<RunOverview> {
    return this.#states.overview(run, await this.#drafting.left(run));
  }
}

function sourceOf(source: string | undefined, node: Node): string {
  if (source !== undefined) return source;
  throw new KernelEvolveError("corrupt", `node ${node.id}: its source ${node.candidate} is not in the store`);
}

function checkedTokens(given: number | undefined): number {
  if (given === undefined) return DEFAULT_TOKEN_BUDGET;
  if (given === 0 || (Number.isFinite(given) && given >= MIN_TOKEN_BUDGET && given <= 1_000_000))
    return given;
  throw new KernelEvolveError(
    "invalid_argument",
    `token_budget: ${given} is not 0 (no prompt) or from ${MIN_TOKEN_BUDGET} to 1,000,000`,
  );
}
