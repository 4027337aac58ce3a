import { randomBytes } from "node:crypto";
import { KernelEvolveError } from "../domain/errors.ts";
import {
  type Budget,
  budgetSchema,
  DEFAULT_POLICY,
  type MemoryMode,
  memoryModeSchema,
  type PolicyName,
  type Run,
} from "../domain/run.ts";
import type { EvolutionService, ProblemService, TargetService } from "../domain/services.ts";
import { policies, resolveParameters } from "./selection/index.ts";

/** Probability of showing kernels of earlier runs. More of it raises the floor and lowers the variety. */
const PRIOR_KERNELS = 0.1;
/** Policies that others are measured against: their drafts hear nothing of earlier work. */
export const CONTROL_POLICIES: ReadonlySet<PolicyName> = new Set(["one-shot", "best-of-n"]);

/** An identifier that sorts by time and cannot be guessed. */
export function newId(kind: "run" | "claim" | "node"): string {
  return `${kind}_${Date.now().toString(36)}${randomBytes(6).toString("hex")}`;
}

/**
 * The run that `input` asks for, checked and complete: names resolved, policy parameters filled in and within bounds.
 * @throws invalid_argument naming the argument, not_found for problem or target.
 */
export async function newRun(
  input: Parameters<EvolutionService["start"]>[0],
  services: { readonly problems: ProblemService; readonly targets: TargetService },
): Promise<Run> {
  const problem = await services.problems.get(input.problem);
  const target = await services.targets.get(input.target);
  const abstraction = input.abstraction ?? Object.keys(target.abstractions)[0];
  const toolchain =
    abstraction === undefined || !Object.hasOwn(target.abstractions, abstraction)
      ? undefined
      : target.abstractions[abstraction];
  if (abstraction === undefined || toolchain === undefined) {
    throw new KernelEvolveError(
      "invalid_argument",
      `abstraction: target ${target.id} has no ${JSON.stringify(abstraction)}`,
      {
        fix: `Use one of: ${Object.keys(target.abstractions).join(", ")}.`,
      },
    );
  }
  const baselines = Object.keys(toolchain.baselines);
  const baseline = input.baseline ?? (baselines.includes("reference") ? "reference" : baselines[0]);
  if (baseline === undefined || !baselines.includes(baseline)) {
    throw new KernelEvolveError(
      "invalid_argument",
      `baseline: ${abstraction} on ${target.id} has no baseline ${JSON.stringify(baseline)}`,
      {
        fix: `Use one of: ${baselines.join(", ")}.`,
      },
    );
  }
  const policy = policies[input.policy ?? DEFAULT_POLICY];
  return {
    id: newId("run"),
    problem: problem.id,
    target: target.id,
    abstraction,
    baseline,
    policy: policy.name,
    policy_params: { ...resolveParameters(policy, input.policy_params ?? {}) },
    budget: checkedBudget({
      ...input.budget,
      ...(policy.bounds === undefined
        ? {}
        : { nodes: Math.min(policy.bounds.nodes, input.budget.nodes ?? policy.bounds.nodes) }),
    }),
    seed: checkedSeed(input.seed ?? 0),
    memory: checkedMemory(input.memory) ?? "both",
    prior_kernels: checkedPrior(input.prior_kernels, policy.name),
    ...(input.control === undefined ? {} : { control: input.control }),
    state: "open",
    created_at: new Date().toISOString(),
  };
}

/** A run must be able to end by itself: a goal alone may never be reached. */
function checkedBudget(budget: Budget): Budget {
  const parsed = budgetSchema.safeParse(budget);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new KernelEvolveError(
      "invalid_argument",
      `budget.${issue?.path.join(".") ?? ""}: ${issue?.message ?? "malformed"}`,
    );
  }
  const { target_speedup: _speedup, roofline: _roofline, ...bounds } = parsed.data;
  if (Object.values(bounds).every((bound) => bound === undefined)) {
    throw new KernelEvolveError("invalid_argument", "budget: nothing bounds the run", {
      fix: 'Give at least one of nodes, seconds, device_seconds, tokens, cost, stall; for example {"nodes": 50}.',
    });
  }
  return parsed.data;
}

/** @throws invalid_argument */
export function checkedMemory(mode: MemoryMode | undefined): MemoryMode | undefined {
  if (mode === undefined) return undefined;
  const parsed = memoryModeSchema.safeParse(mode);
  if (parsed.success) return parsed.data;
  throw new KernelEvolveError("invalid_argument", `memory: ${JSON.stringify(mode)} is unknown`, {
    fix: `Use one of: ${memoryModeSchema.options.join(", ")}.`,
  });
}

function checkedPrior(given: number | undefined, policy: PolicyName): number {
  const control = CONTROL_POLICIES.has(policy);
  if (given === undefined) return control ? 0 : PRIOR_KERNELS;
  if (!(given >= 0 && given <= 1))
    throw new KernelEvolveError("invalid_argument", `prior_kernels: ${given} is not from 0 to 1`);
  if (!control || given === 0) return given;
  throw new KernelEvolveError(
    "invalid_argument",
    `prior_kernels: policy ${policy} is a control, which is shown no earlier kernels`,
    { fix: "Leave it out, or choose another policy." },
  );
}

function checkedSeed(seed: number): number {
  if (Number.isSafeInteger(seed)) return seed;
  throw new KernelEvolveError("invalid_argument", `seed: ${seed} is not a whole number`);
}
