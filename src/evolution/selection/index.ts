import type { PolicyName } from "../../domain/run.ts";
import { bestOfN } from "./best-of-n.ts";
import { greedy } from "./greedy.ts";
import { islands } from "./islands.ts";
import type { Policy } from "./policy.ts";

/** Every policy by name: the one place that a new one is entered. */
export const policies: Readonly<Record<PolicyName, Policy>> = { greedy, "best-of-n": bestOfN, islands };

export { type Policy, resolveParameters, type Selection, type SelectionView } from "./policy.ts";
export { type Member, Population } from "./population.ts";
