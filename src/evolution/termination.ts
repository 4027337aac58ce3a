import type { Budget, Node, Spent } from "../domain/run.ts";
import type { BudgetLeft } from "../domain/services.ts";
import { counted } from "../platform/text.ts";

/** What the run has against each bound, for the decision to stop. */
export interface Standing {
  readonly spent: Spent;
  readonly best: Pick<Node, "fitness" | "roofline"> | null;
}

/** What is left of each bound that the budget names; never negative. */
export function budgetLeft(budget: Budget, spent: Spent): BudgetLeft {
  const rest = (bound: number, used: number): number => Math.max(0, bound - used);
  return {
    ...(budget.nodes === undefined ? {} : { nodes: rest(budget.nodes, spent.nodes) }),
    ...(budget.seconds === undefined ? {} : { seconds: rest(budget.seconds, spent.seconds) }),
    ...(budget.device_seconds === undefined
      ? {}
      : { device_seconds: rest(budget.device_seconds, spent.device_seconds) }),
    ...(budget.tokens === undefined ? {} : { tokens: rest(budget.tokens, spent.tokens) }),
    ...(budget.cost === undefined ? {} : { cost: rest(budget.cost, spent.cost) }),
    ...(budget.stall === undefined ? {} : { stall: rest(budget.stall, spent.since_best) }),
  };
}

/** Why the run has ended, in one line for people; null while it goes on. Goals come before bounds. */
export function stopReason(budget: Budget, { spent, best }: Standing): string | null {
  if (budget.target_speedup !== undefined && best !== null && best.fitness >= budget.target_speedup) {
    return `target reached: speedup ${best.fitness.toFixed(2)} of ${budget.target_speedup} wanted`;
  }
  if (
    budget.roofline !== undefined &&
    best !== null &&
    best.fitness > 0 &&
    (best.roofline ?? 0) >= budget.roofline
  ) {
    return `roofline reached: ${((best.roofline ?? 0) * 100).toFixed(0)} % of ${(budget.roofline * 100).toFixed(0)} % wanted`;
  }
  if (budget.nodes !== undefined && spent.nodes >= budget.nodes)
    return `budget spent: ${counted(spent.nodes, "node")}`;
  if (budget.seconds !== undefined && spent.seconds >= budget.seconds) {
    return `budget spent: ${spent.seconds.toFixed(0)} s of ${budget.seconds} s`;
  }
  if (budget.device_seconds !== undefined && spent.device_seconds >= budget.device_seconds) {
    return `budget spent: ${spent.device_seconds.toFixed(0)} s of device time of ${budget.device_seconds} s`;
  }
  if (budget.tokens !== undefined && spent.tokens >= budget.tokens) {
    return `budget spent: ${spent.tokens} tokens of ${budget.tokens}`;
  }
  if (budget.cost !== undefined && spent.cost >= budget.cost) {
    return `budget spent: cost ${spent.cost.toFixed(4)} of ${budget.cost}`;
  }
  if (budget.stall !== undefined && spent.since_best >= budget.stall) {
    return `stalled: ${counted(spent.since_best, "node")} without a better one`;
  }
  return null;
}
