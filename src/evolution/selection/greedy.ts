import {
  drafting,
  EXPANSION_PARAMETERS,
  type ParameterSpec,
  type Policy,
  parameter,
  repairTarget,
  type Selection,
  type SelectionView,
} from "./policy.ts";

const parameters = {
  ...EXPANSION_PARAMETERS,
  patience: {
    default: 8,
    min: 1,
    max: 10_000,
    integer: true,
    meaning: "children without a better one after which the next best node is expanded",
  },
} as const satisfies Record<string, ParameterSpec>;

/** Always the best passed node, until it has had `patience` children; then the next best, and so on. */
export const greedy: Policy = {
  name: "greedy",
  title: "Greedy: expand the best node, move to the next best after `patience` children without a gain",
  parameters,
  rootIsland: () => 0,
  select(view, given): Selection {
    if (drafting(view, parameter(given, "drafts"))) return draft();
    const elite = view.population.elite();
    const depth = parameter(given, "repair_depth");
    if (elite.length === 0 || view.random.next() < parameter(given, "repair")) {
      const target = repairTarget(view, depth);
      if (target !== undefined) return { phase: "expand", parents: [target.id], island: 0 };
      if (elite.length === 0) return draft();
    }
    return { phase: "expand", parents: [leastTired(view, parameter(given, "patience"))], island: 0 };
  },
};

/** The best nodes among which the next is looked for: in a long run most are tired, and each choice would pass them all. */
const LOOKED_AT = 1000;

/** The best node with the fewest full rounds of `patience` children behind it. */
function leastTired(view: SelectionView, patience: number): string {
  const under = new Map<string, number>();
  for (const claim of view.open) for (const id of claim.parents) under.set(id, (under.get(id) ?? 0) + 1);
  let chosen = "";
  let fewest = Number.POSITIVE_INFINITY;
  for (const member of view.population.elite().slice(0, LOOKED_AT)) {
    const rounds = Math.floor(
      (view.population.childrenOf(member.id) + (under.get(member.id) ?? 0)) / patience,
    );
    if (rounds < fewest) {
      chosen = member.id;
      fewest = rounds;
    }
    // Best first: nothing below can have fewer rounds than none.
    if (fewest === 0) break;
  }
  return chosen;
}

function draft(): Selection {
  return { phase: "draft", parents: [], island: 0 };
}
