import { KernelEvolveError } from "../../domain/errors.ts";
import type { Claim, PolicyName, Run } from "../../domain/run.ts";
import type { Random } from "../random.ts";
import type { Member, Population } from "./population.ts";

/** One parameter of a policy; all are numbers so that they travel in `policy_params`. */
export interface ParameterSpec {
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** Whole numbers only. */
  readonly integer?: boolean;
  readonly meaning: string;
}

export type Parameters<Names extends string = string> = Readonly<Record<Names, number>>;

/** Everything a choice may depend on. */
export interface SelectionView {
  readonly population: Population;
  /** Claims handed out and not yet answered: work under way that must not be chosen twice. */
  readonly open: readonly Pick<Claim, "parents" | "island" | "phase">[];
  /** How many claims the run has given before this one. */
  readonly ordinal: number;
  readonly random: Random;
}

/** What to expand. No parents: a fresh draft. One: improve it, or repair it when it failed. Two: cross them. */
export interface Selection {
  readonly phase: "draft" | "expand";
  readonly parents: readonly string[];
  readonly island: number;
}

/** One way to choose what is expanded next. Pure: the same view gives the same choice. */
export interface Policy {
  readonly name: PolicyName;
  readonly title: string;
  readonly parameters: Readonly<Record<string, ParameterSpec>>;
  /** Whether its population is sorted into MAP-Elites cells. */
  readonly cells?: boolean;
  /** Whether it asks for subtrees. */
  readonly trees?: boolean;
  /** Bounds that the policy itself sets on a run's budget. */
  readonly bounds?: { readonly nodes: number };
  select(view: SelectionView, parameters: Parameters): Selection;
  /** The island of the `index`-th seed or draft. */
  rootIsland(index: number, parameters: Parameters): number;
}

/** Parameters that every policy has. */
export const COMMON_PARAMETERS = {
  seeds: {
    default: 1,
    min: 0,
    max: 1,
    integer: true,
    meaning: "1: the shipped seed kernels are the first nodes; 0: start from nothing",
  },
} as const satisfies Record<string, ParameterSpec>;

/** Parameters of the policies that expand. */
export const EXPANSION_PARAMETERS = {
  ...COMMON_PARAMETERS,
  drafts: {
    default: 3,
    min: 1,
    max: 1000,
    integer: true,
    meaning: "nodes without parents (seeds count) before children of chosen parents are asked for",
  },
  repair: {
    default: 0.2,
    min: 0,
    max: 1,
    meaning: "probability of repairing a failed node instead of improving a passed one",
  },
  repair_depth: {
    default: 3,
    min: 0,
    max: 100,
    integer: true,
    meaning: "failures in a row after which a lineage is given up",
  },
} as const satisfies Record<string, ParameterSpec>;

/**
 * The parameters with defaults filled in.
 * @throws invalid_argument for an unknown name or a value out of bounds, with the names and bounds there are.
 */
export function resolveParameters(policy: Policy, given: Run["policy_params"]): Parameters {
  const known = Object.keys(policy.parameters).join(", ");
  for (const [name, value] of Object.entries(given)) {
    const spec = policy.parameters[name];
    if (spec === undefined || !Object.hasOwn(policy.parameters, name)) {
      throw new KernelEvolveError(
        "invalid_argument",
        `policy_params.${name}: policy ${policy.name} has no such parameter`,
        {
          fix: `Parameters of ${policy.name}: ${known}.`,
        },
      );
    }
    if (
      !Number.isFinite(value) ||
      value < spec.min ||
      value > spec.max ||
      (spec.integer === true && !Number.isInteger(value))
    ) {
      throw new KernelEvolveError("invalid_argument", `policy_params.${name}: ${value} is not allowed`, {
        fix: `Give ${spec.integer === true ? "a whole number" : "a number"} from ${spec.min} to ${spec.max}: ${spec.meaning}.`,
      });
    }
  }
  return Object.fromEntries(
    Object.entries(policy.parameters).map(([name, spec]) => [name, given[name] ?? spec.default]),
  );
}

/** The value of a parameter that the policy itself declares. */
export function parameter(parameters: Parameters, name: string): number {
  const value = parameters[name];
  if (value === undefined) throw new KernelEvolveError("corrupt", `policy parameter ${name} is missing`);
  return value;
}

/** Whether the draft phase still asks for a node: drafts made and under way are fewer than wanted. */
export function drafting(view: SelectionView, wanted: number): boolean {
  const underWay = view.open.filter((claim) => claim.phase === "draft").length;
  return view.population.roots + underWay < wanted;
}

/**
 * Chooses a failed node to repair, newest likeliest since its errors are the least explored; undefined when there is none
 * or when every one is already being repaired. Failed nodes are chosen only here, never as elite parents.
 */
export function repairTarget(view: SelectionView, depth: number, island?: number): Member | undefined {
  const busy = new Set(view.open.flatMap((claim) => claim.parents));
  const targets = view.population.repairable(depth, island).filter((member) => !busy.has(member.id));
  if (targets.length === 0) return undefined;
  // Squared, so that of ten targets the newest two are chosen about every second time.
  const back = Math.floor(view.random.next() ** 2 * targets.length);
  return targets[targets.length - 1 - back];
}
