import type { Budget, Run } from "../domain/run.ts";
import type { BudgetLeft } from "../domain/services.ts";

/** How long to measure: `screen` for every child of a tuner where that pays, `full` for one that may be the best. Seconds. */
export interface Pace {
  readonly screen: number | undefined;
  readonly full: number;
}

/** A run bounded in time should see about this many children. */
const CHILDREN = 40;
const LONGEST = 20;
const SHORTEST = 1;
/** A benchmark has a cost that no length goes below, and a contender is verified twice: short lengths are not screened. */
const WORTH_SCREENING = 8;

/**
 * Successive halving in two rungs: a screening length for all and a full length for contenders, from the run's time.
 * Without a bound in time a contender gets the longest. A control is measured like the run that it is held against.
 */
export function paceOf({ budget, pace }: Pick<Run, "budget" | "pace">): Pace {
  if (pace !== undefined) return { full: pace.full, screen: pace.screen };
  const bounds = [budget.seconds, budget.device_seconds].filter((bound) => bound !== undefined);
  const per = bounds.length === 0 ? LONGEST : Math.min(...bounds) / CHILDREN;
  const full = Math.min(LONGEST, Math.max(SHORTEST, per * 1.5));
  return { screen: full < WORTH_SCREENING ? undefined : full / 4, full };
}

/** Share of the budget that is used up, 0..1, by the bound that is nearest to its end. */
export function usedShare(budget: Budget, left: BudgetLeft): number {
  const share = (bound: number | undefined, rest: number | undefined): number =>
    bound === undefined || rest === undefined ? 0 : 1 - rest / bound;
  return Math.max(
    share(budget.nodes, left.nodes),
    share(budget.seconds, left.seconds),
    share(budget.device_seconds, left.device_seconds),
    share(budget.tokens, left.tokens),
    share(budget.cost, left.cost),
  );
}
