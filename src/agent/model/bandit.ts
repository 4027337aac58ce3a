import type { Node } from "../../domain/run.ts";

/** Exploration: how much a model that was asked seldom is trusted beyond its mean. */
const EXPLORE = 0.7;

/** One answer of a model: how much it was worth, from 0 to 1, and what it cost (money, or tokens where no price is known). */
interface Arm {
  pulls: number;
  reward: number;
  cost: number;
  /** Asked and not answered yet: counted as asked, so that proposers at once do not all ask the same. */
  waiting: number;
}

/**
 * What a child was worth: how far it got beyond its parent, where doubling the speedup is worth 1. A credited child that is no
 * better, and one that is right without credit, are worth a little: they say that the model can write kernels.
 */
export function rewardOf(
  child: Pick<Node, "verdict" | "fitness">,
  parents: readonly Pick<Node, "fitness">[],
): number {
  if (child.verdict !== "passed") return 0;
  const before = Math.max(1, ...parents.map((parent) => parent.fitness));
  if (child.fitness <= before) return 0.05;
  return Math.min(1, 0.05 + Math.log2(child.fitness / before));
}

/**
 * Which model of several to ask next: upper confidence bound of the reward (UCB1; Auer, Cesa-Bianchi and Fischer, 2002) over
 * the mean cost (fractional KUBE for budgeted bandits; Tran-Thanh, Chapman, Rogers and Jennings, 2012). Every model is asked
 * once first. Its memory is what is told to it: a run that is gone on with tells its nodes again.
 */
export class Bandit {
  readonly #arms = new Map<string, Arm>();

  /** @param models at least one name, asked in this order at first */
  constructor(models: readonly string[]) {
    for (const model of models) this.#arms.set(model, { pulls: 0, reward: 0, cost: 0, waiting: 0 });
  }

  get models(): string[] {
    return [...this.#arms.keys()];
  }

  /** The model to ask now; undefined when all have been dropped. `settle` is due for each. */
  choose(): string | undefined {
    let best: { model: string; value: number } | undefined;
    const asked = [...this.#arms.values()].reduce((sum, arm) => sum + arm.pulls + arm.waiting, 0);
    const costs = [...this.#arms.values()].flatMap((arm) => (arm.pulls > 0 ? [arm.cost / arm.pulls] : []));
    const usual = costs.length === 0 ? 1 : costs.reduce((sum, cost) => sum + cost, 0) / costs.length;
    for (const [model, arm] of this.#arms) {
      const times = arm.pulls + arm.waiting;
      // Free models are compared by what they are worth alone.
      const cost = Math.max(arm.pulls > 0 ? arm.cost / arm.pulls : usual, 1e-3 * usual, 1e-12);
      const value =
        times === 0
          ? Number.POSITIVE_INFINITY
          : ((arm.pulls > 0 ? arm.reward / arm.pulls : 0) +
              EXPLORE * Math.sqrt((2 * Math.log(Math.max(2, asked))) / times)) /
            cost;
      if (best === undefined || value > best.value) best = { model, value };
    }
    const chosen = best === undefined ? undefined : this.#arms.get(best.model);
    if (chosen !== undefined) chosen.waiting += 1;
    return best?.model;
  }

  /** What came of a choice. */
  settle(model: string, reward: number, cost: number): void {
    const arm = this.#arms.get(model);
    if (arm === undefined) return;
    arm.waiting = Math.max(0, arm.waiting - 1);
    this.remember(model, reward, cost);
  }

  /** An answer of before: the recorded nodes of a run that is gone on with. */
  remember(model: string, reward: number, cost: number): void {
    const arm = this.#arms.get(model);
    if (arm === undefined) return;
    arm.pulls += 1;
    arm.reward += reward;
    arm.cost += cost;
  }

  /** A choice that led to no request. */
  withdraw(model: string): void {
    const arm = this.#arms.get(model);
    if (arm !== undefined) arm.waiting = Math.max(0, arm.waiting - 1);
  }

  /** A model that cannot be used. */
  drop(model: string): void {
    this.#arms.delete(model);
  }
}
