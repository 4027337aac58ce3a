import { z } from "zod";
import { diagnosisSchema, reasonSchema, speedupSchema, statusSchema, verdictSchema } from "./evaluation.ts";
import { slugSchema } from "./scalar.ts";

export const POLICIES = ["one-shot", "best-of-n", "linear", "greedy", "beam", "mcts", "islands"] as const;
export const policyNameSchema = z.enum(POLICIES);
export type PolicyName = z.infer<typeof policyNameSchema>;
/** Chosen by `npm run bench -- search` (docs/benchmarks.md). */
export const DEFAULT_POLICY: PolicyName = "mcts";

export const budgetSchema = z.object({
  nodes: z.int().min(1).max(1_000_000).optional(),
  seconds: z
    .number()
    .positive()
    .max(30 * 86_400)
    .optional(),
  device_seconds: z
    .number()
    .positive()
    .max(30 * 86_400)
    .optional(),
  /** Stop after this many nodes without a better fitness. */
  stall: z.int().min(1).max(1_000_000).optional(),
  target_speedup: z.number().positive().max(1e6).optional(),
  roofline: z.number().positive().max(1).optional(),
  /** Tokens of language models, in and out, as proposers report them. */
  tokens: z.int().min(1).max(1e12).optional(),
  /** What proposers report having paid, in any one currency; US dollars by convention. */
  cost: z.number().positive().max(1e9).optional(),
});
export type Budget = z.infer<typeof budgetSchema>;

export const spentSchema = z.object({
  nodes: z.int(),
  seconds: z.number(),
  device_seconds: z.number(),
  since_best: z.int(),
  tokens: z.int(),
  cost: z.number(),
});
export type Spent = z.infer<typeof spentSchema>;

/** What a language model used for one child, as its proposer reports it. */
export const usageSchema = z.strictObject({
  input_tokens: z.int().min(0).max(1e9),
  output_tokens: z.int().min(0).max(1e9),
  /** In the currency of the run's budget; US dollars by convention. */
  cost: z.number().min(0).max(1e6).optional(),
  model: z.string().min(1).max(120).optional(),
});
export type Usage = z.infer<typeof usageSchema>;

/**
 * What the context-memory report of an expansion holds: `parent` the parent's own results, bottleneck and lineage, `siblings`
 * what its other children tried, `both`, or `none` (a clean start from the source alone).
 */
export const MEMORY_MODES = ["parent", "siblings", "both", "none"] as const;
export const memoryModeSchema = z.enum(MEMORY_MODES);
export type MemoryMode = z.infer<typeof memoryModeSchema>;

/** The policy that a run may be held against: independent drafts without feedback. */
export const CONTROLS = ["best-of-n"] as const;
export const controlSchema = z.enum(CONTROLS);
export type Control = z.infer<typeof controlSchema>;

export const RUN_STATES = ["open", "finished", "cancelled"] as const;
export const runSchema = z.object({
  id: z.string(),
  problem: z.string(),
  target: slugSchema,
  abstraction: slugSchema,
  /** The baseline whose speedup is the fitness. */
  baseline: slugSchema,
  policy: policyNameSchema,
  policy_params: z.record(z.string(), z.number()),
  budget: budgetSchema,
  seed: z.int(),
  /** Default memory mode of its expansions; absent in runs older than the choice: both. */
  memory: memoryModeSchema.optional(),
  /** Probability with which an expansion is shown kernels of earlier runs; absent in runs older than the choice: 0. */
  prior_kernels: z.number().min(0).max(1).optional(),
  /** A control at an equal budget is wanted: the command that drives the run drives that after it, also when it goes on with it. */
  control: controlSchema.optional(),
  /** Of a control: the run that it is held against. */
  control_of: z.string().optional(),
  /** Seconds for which a candidate is measured (see `Pace`); absent: they follow from the budget. */
  pace: z.object({ full: z.number().positive(), screen: z.number().positive().optional() }).optional(),
  state: z.enum(RUN_STATES),
  stop_reason: z.string().optional(),
  created_at: z.string(),
  finished_at: z.string().optional(),
});
export type Run = z.infer<typeof runSchema>;

/** What made a node: `seed` ships with the project, `agent` came through evolve_submit, the rest from autotune. */
export const OPERATORS = ["seed", "agent", "mutate", "crossover", "tune"] as const;

/** Insert-only. `step` counts within the run, from 0. Fitness is the credited speedup, 0 when not credited. */
export const nodeSchema = z.object({
  id: z.string(),
  run: z.string(),
  step: z.int(),
  parents: z.array(z.string()).max(2),
  operator: z.enum(OPERATORS),
  rationale: z.string().max(2000),
  candidate: z.string(),
  commit: z.string().optional(),
  evaluation: z.string(),
  verdict: verdictSchema,
  status: statusSchema,
  fitness: z.number(),
  speedup: speedupSchema.optional(),
  roofline: z.number().optional(),
  diagnosis: diagnosisSchema.optional(),
  reasons: z.array(reasonSchema),
  island: z.int(),
  claim: z.string().optional(),
  proposer: z.string(),
  usage: usageSchema.optional(),
  /** Ideas that the proposer put off, for whoever goes on from here. Untrusted text. */
  deferred: z.array(z.string().max(200)).max(5).optional(),
  /** Artifact with the model's exchange that led to it, where a driver asked the model. */
  transcript: z.string().max(200).optional(),
  /** How its prompt was made: as in the claim. */
  memory: memoryModeSchema.optional(),
  prior_kernels: z.array(z.string()).optional(),
  device_seconds: z.number(),
  created_at: z.string(),
});
export type Node = z.infer<typeof nodeSchema>;

/** A permission to make one child. Expires, then its place returns to the frontier. */
export const claimSchema = z.object({
  id: z.string(),
  run: z.string(),
  parents: z.array(z.string()).max(2),
  phase: z.enum(["draft", "expand"]),
  island: z.int(),
  proposer: z.string(),
  memory: memoryModeSchema.optional(),
  /** Whether the draw was for kernels of earlier runs. */
  prior: z.boolean().optional(),
  /** Ids of the documents and of the earlier kernels that its prompt shows; known once the prompt is. */
  documents: z.array(z.string()).optional(),
  prior_kernels: z.array(z.string()).optional(),
  created_at: z.string(),
  expires_at: z.string(),
  state: z.enum(["open", "submitted", "expired"]),
  /** Set once submitted: the node made. */
  node: z.string().optional(),
});
export type Claim = z.infer<typeof claimSchema>;
