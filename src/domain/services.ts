import type { EvaluationRecord, Stage } from "./evaluation.ts";
import type { Job, WorkContext } from "./job.ts";
import type { KnowledgeService } from "./knowledge.ts";
import type { Definition, Judging, Origin, Problem, Workload } from "./problem.ts";
import type { Budget, Claim, Control, MemoryMode, Node, PolicyName, Run, Spent, Usage } from "./run.ts";
import type { Dtype } from "./scalar.ts";
import type { DoctorReport, Peaks, TargetSpec, TargetStatus } from "./target.ts";

/**
 * The services that the faces (mcp, cli, agent) use, as interfaces: a face never imports an implementation,
 * the composition root in `app/` joins them.
 */

export interface TargetService {
  /** Every target found in the hardware-docs folders, sorted by id. */
  list(): Promise<TargetSpec[]>;
  /** @throws not_found with the nearest ids. */
  get(id: string): Promise<TargetSpec>;
  /** What is usable here. Cached for the life of the process unless `fresh`. */
  status(id: string, options?: { fresh?: boolean }): Promise<TargetStatus>;
  /**
   * Measured once per machine (a few seconds) and cached on disk. `fresh` measures again and keeps the higher of each figure:
   * a peak is an upper bound, and the first time the machine may have been busy.
   */
  peaks(id: string, context: WorkContext, options?: { fresh?: boolean }): Promise<Peaks>;
  /** The machine, every target's status, and the target folders that could not be read. Always probed anew. */
  doctor(): Promise<DoctorReport>;
}

export interface ProblemSummary {
  readonly id: string;
  readonly name: string;
  readonly op_type: string;
  readonly description: string;
  readonly workloads: number;
  readonly degenerate: boolean | null;
  readonly source: "shipped" | "registered";
}

/** A problem as it is handed in: a definition with its workloads, or one in a format of others. */
export type ProblemInput = { readonly cache?: "cold" | "warm"; readonly judging?: Judging } & (
  | { readonly definition: Definition; readonly workloads: Workload[] }
  | { readonly origin: Origin; readonly name?: string }
);

export interface ProblemService {
  list(): Promise<ProblemSummary[]>;
  /** By id, or by name (shipped, or the newest registered of that name). */
  get(idOrName: string): Promise<Problem>;
  /**
   * Validates, grades with the null battery on `target`, stores. Idempotent by content hash.
   * @throws invalid_argument naming the field.
   */
  register(input: ProblemInput, target: string, context: WorkContext): Promise<Problem>;
  /** The graded form of a problem (grades it now if it never was on this machine). */
  graded(problem: Problem, target: string, context: WorkContext): Promise<Problem>;
  /** The exact prototype a candidate must define, with a comment for every argument; `harness` is the target's, where one is known. */
  prototype(problem: Problem, abstraction: string, harness?: "native" | "torch"): string;
  /** Seed kernels shipped or found for this problem, target and abstraction. */
  seeds(
    problem: Problem,
    target: string,
    abstraction: string,
  ): Promise<{ name: string; source: string; note: string }[]>;
}

/** A problem as the native harness needs it: shapes resolved for one workload. */
export interface ResolvedTensor {
  readonly name: string;
  readonly dtype: Dtype;
  /** null for a scalar passed by value. */
  readonly shape: readonly number[] | null;
  readonly elements: number;
}

export interface Replacement {
  readonly kernel: string;
  readonly text: string;
}

export interface EvaluateOptions {
  /** Stages wanted; those they need are added. Default: compile, verify, benchmark. */
  readonly stages?: readonly Stage[];
  /** Workload uuids; default all. */
  readonly workloads?: readonly string[];
  /** Baselines to time beside the candidate; default all that the toolchain names. */
  readonly baselines?: readonly string[];
  /** Seconds for the whole benchmark stage; default 20. */
  readonly benchmark_seconds?: number;
  /** Ask the cache first (default true). */
  readonly use_cache?: boolean;
  /**
   * An edited PTX or AMDGCN text in the place of what the compiler made of one kernel; `kernel` is its name, or empty for the one that the
   * text defines. Triton candidates run with it; of CUDA ones it is compiled only.
   */
  readonly replace?: Replacement;
  /** Overrides of declared tunables, by name. */
  readonly tunables?: Readonly<Record<string, string>>;
}

export interface EvaluationService {
  evaluate(
    input: { source: string; problem: Problem; target: string; abstraction: string },
    options: EvaluateOptions,
    context: WorkContext,
  ): Promise<EvaluationRecord>;
  get(id: string): Promise<EvaluationRecord>;
}

export interface ArtifactService {
  /** Content-addressed; returns the id `art_<hash>`. */
  write(text: string | Uint8Array, info: { name: string; media_type: string }): Promise<string>;
  read(
    id: string,
    page: { offset: number; limit: number },
  ): Promise<{
    id: string;
    name: string;
    media_type: string;
    text: string;
    total_bytes: number;
    next_offset: number | null;
  }>;
}

export interface JobService {
  /** Starts (or, by the same idempotency key while running, joins) a job. */
  start(kind: string, args: unknown, options?: { idempotency_key?: string }): Promise<Job>;
  get(id: string): Promise<Job>;
  /** Resolves when the job ends or `seconds` have passed, whichever is first. Aborting the wait leaves the job. */
  wait(id: string, seconds: number, context: WorkContext): Promise<Job>;
  cancel(id: string): Promise<Job>;
  list(filter?: { state?: Job["state"] }): Promise<Job[]>;
}

/** What remains of each bound that the run's budget names; never negative. */
export interface BudgetLeft {
  readonly nodes?: number;
  readonly seconds?: number;
  readonly device_seconds?: number;
  /** Nodes that may still fail to improve before the run stalls. */
  readonly stall?: number;
  readonly tokens?: number;
  readonly cost?: number;
}

export interface RunOverview {
  readonly run: Run;
  readonly spent: Spent;
  readonly left: BudgetLeft;
  readonly best: Node | null;
  readonly nodes: number;
  readonly passed: number;
  readonly frontier: number;
  readonly open_claims: number;
  /** Seed kernels of the draft phase still to be evaluated. */
  readonly seeds_left: number;
}

export interface Expansion {
  readonly claim: Claim;
  readonly parents: readonly { node: Node; source: string }[];
  /** What to do now, in words, with everything that the proposer needs. */
  readonly prompt: string;
}

export interface SubmitInput {
  readonly run: string;
  readonly claim: string;
  readonly source: string;
  readonly rationale: string;
  readonly proposer: string;
  /** Default `agent`. */
  readonly operator?: Node["operator"];
  /** Default: the parents of the claim. Must be nodes of the run. */
  readonly parents?: readonly string[];
  /** New values for tunables that the source declares: written into its header before it is stored. */
  readonly tunables?: Readonly<Record<string, string>>;
  /** Seconds of the benchmark stage; default as in EvaluateOptions. */
  readonly benchmark_seconds?: number;
  /**
   * Measure for this long first, and go on to the full length only when the interval reaches that of the best node:
   * what cannot win costs little. Must be below `benchmark_seconds`.
   */
  readonly screen_seconds?: number;
  /**
   * What models used for this claim in all. Counted once, when the claim is answered (also by a twin). Required of agents
   * where the run is bounded by tokens or cost.
   */
  readonly usage?: Usage;
  /** Ideas put off, at most 5 lines of 200 characters: shown to whoever goes on from this node. */
  readonly deferred?: readonly string[];
  /** Artifact with the exchange that led to the child. */
  readonly transcript?: string;
}

export interface EvolutionService {
  start(input: {
    problem: string;
    target: string;
    abstraction?: string;
    baseline?: string;
    policy?: PolicyName;
    policy_params?: Record<string, number>;
    budget: Budget;
    seed?: number;
    /** Default both. */
    memory?: MemoryMode;
    /** Probability of showing kernels of earlier runs; default 0.1, 0 for the controls one-shot and best-of-n. */
    prior_kernels?: number;
    /** Notes that a control belongs to the run; `control` opens it once the run has spent something. */
    control?: Control;
    idempotency_key?: string;
  }): Promise<Run>;
  /**
   * The control of a run, opened when there is none: policy best-of-n with the same seed kernels and seed, memory none, no
   * earlier kernels, and for a budget what the run has spent (nodes, device-seconds, tokens, cost). Idempotent; when the run has
   * gone on since, the control's budget grows with it.
   * @throws conflict when the run has no node yet, invalid_argument when it is a control itself.
   */
  control(run: string): Promise<Run>;
  /** `as_of`: as it stood when that step had been recorded (time travel; nodes are insert-only). */
  get(run: string, options?: { as_of?: number }): Promise<RunOverview>;
  list(): Promise<RunOverview[]>;
  nodes(
    run: string,
    filter?: {
      verdict?: string;
      limit?: number;
      offset?: number;
      order?: "step" | "fitness";
      up_to_step?: number;
    },
  ): Promise<Node[]>;
  node(id: string): Promise<{ node: Node; source: string; ancestors: Node[] }>;
  /** The prompt that went out with a claim, for audit and replay. @throws not_found. */
  prompt(claim: string): Promise<string>;
  /**
   * Evaluates the shipped seed kernels that the run has not seen yet (the draft phase). Idempotent; `next` does it
   * first when nobody else did, so calling it only moves the waiting to where progress can be shown.
   */
  prepare(run: string, context: WorkContext): Promise<RunOverview>;
  /**
   * Claims the next expansion. `token_budget` bounds the prompt (default 12,000).
   * @throws budget_spent when the run has ended, conflict when all that is left is claimed by others.
   */
  next(
    run: string,
    proposer: string,
    options?: {
      ttl_seconds?: number;
      token_budget?: number;
      /** Default: the run's. */
      memory?: MemoryMode;
      context?: WorkContext;
    },
  ): Promise<Expansion>;
  /**
   * Evaluates and records a child. Durable before it returns; the same claim submitted twice with the same
   * source answers the same node. A source that the run already has but for comments, whitespace, names and the order of
   * functions costs nothing: the answer is the twin, `duplicate_of` names it, and `alike` says how it is the same.
   */
  submit(
    input: SubmitInput,
    context: WorkContext,
  ): Promise<{
    node: Node;
    record: EvaluationRecord;
    overview: RunOverview;
    finished: boolean;
    duplicate_of?: string;
    alike?: "unchanged" | "text" | "names";
    /** What the source changes against its first parent, in one line; absent for a draft. */
    changed?: string;
  }>;
  /**
   * Counts what a model used without making a child (an answer that was no kernel, a summary). `key` names the charge: the
   * same key a second time counts nothing. What led to a child goes with `submit` instead.
   */
  charge(run: string, key: string, usage: Usage): Promise<RunOverview>;
  /** Keeps an open claim for so many seconds from now, while its proposer is at work. One that is not open is left as it is. */
  renew(claim: string, seconds: number): Promise<void>;
  /** Gives an open claim back unanswered: its place is free at once. A claim that is not open is left as it is. */
  release(claim: string): Promise<void>;
  /** Ends a run by hand; its nodes stay. */
  stop(run: string, reason: string): Promise<RunOverview>;
  /** The report on its own, as text: self-contained HTML, or Markdown. */
  report(run: string, format: "html" | "markdown", context: WorkContext): Promise<string>;
  /** What the run teaches later ones, as Markdown; undefined while no speedup is credited. */
  lesson(run: string, context: WorkContext): Promise<{ title: string; text: string } | undefined>;
  /**
   * Writes best kernel, evaluation record, dispatcher, FlashInfer-Trace form, training data, what the run teaches, and the reports (HTML,
   * Markdown) into `directory`.
   */
  export(
    run: string,
    directory: string,
    context: WorkContext,
  ): Promise<{ files: { path: string; what: string }[]; best: Node | null }>;
}

/** A driver makes children until the run ends: the autotuner here, a language model in another. */
export interface Driver {
  readonly name: string;
  drive(run: string, context: WorkContext): Promise<RunOverview>;
}

export interface Services {
  readonly knowledge: KnowledgeService;
  readonly targets: TargetService;
  readonly problems: ProblemService;
  readonly evaluations: EvaluationService;
  readonly artifacts: ArtifactService;
  readonly jobs: JobService;
  readonly evolution: EvolutionService;
  readonly drivers: ReadonlyMap<string, Driver>;
  /** Ends children, closes the store. Idempotent. */
  close(): Promise<void>;
}
