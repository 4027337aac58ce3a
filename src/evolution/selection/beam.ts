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
import type { Member } from "./population.ts";

const parameters = {
  ...EXPANSION_PARAMETERS,
  width: {
    default: 4,
    min: 1,
    max: 1000,
    integer: true,
    meaning: "nodes that are kept and expanded: the best ones",
  },
  branching: {
    default: 3,
    min: 1,
    max: 1000,
    integer: true,
    meaning: "children of a kept node before the others have had as many",
  },
} as const satisfies Record<string, ParameterSpec>;

/**
 * The best `width` passed nodes are the beam; each is given `branching` children in turn, the one with the fewest first. A better
 * child takes the place of the beam's last at once. When all have their share, the round begins again.
 */
export const beam: Policy = {
  name: "beam",
  title: "Beam: the best few nodes are expanded in turn, better children take their places",
  parameters,
  rootIsland: () => 0,
  select(view, given): Selection {
    if (drafting(view, parameter(given, "drafts"))) return { phase: "draft", parents: [], island: 0 };
    const kept = view.population.elite().slice(0, parameter(given, "width"));
    if (kept.length === 0 || view.random.next() < parameter(given, "repair")) {
      const target = repairTarget(view, parameter(given, "repair_depth"));
      if (target !== undefined) return { phase: "expand", parents: [target.id], island: 0 };
    }
    const parent = nextInTurn(view, kept, parameter(given, "branching"));
    return parent === undefined
      ? { phase: "draft", parents: [], island: 0 }
      : { phase: "expand", parents: [parent.id], island: 0 };
  },
};

/** The first of the beam, best first, with the fewest whole rounds of children, those under way among them. */
function nextInTurn(view: SelectionView, kept: readonly Member[], branching: number): Member | undefined {
  const rounds = kept.map((member) => {
    const underWay = view.open.filter((claim) => claim.parents.includes(member.id)).length;
    return Math.floor((view.population.childrenOf(member.id) + underWay) / branching);
  });
  return kept[rounds.indexOf(Math.min(...rounds))];
}
