import type { PolicyName } from "../../domain/run.ts";
import { beam } from "./beam.ts";
import { bestOfN } from "./best-of-n.ts";
import { greedy } from "./greedy.ts";
import { islands } from "./islands.ts";
import { linear } from "./linear.ts";
import { mcts } from "./mcts.ts";
import { oneShot } from "./one-shot.ts";
import type { Policy } from "./policy.ts";

/** Every policy by name: the one place that a new one is entered. */
export const policies: Readonly<Record<PolicyName, Policy>> = {
  "one-shot": oneShot,
  "best-of-n": bestOfN,
  linear,
  greedy,
  beam,
  mcts,
  islands,
};

export { type Policy, resolveParameters, type Selection, type SelectionView } from "./policy.ts";
export { type Member, Population } from "./population.ts";
