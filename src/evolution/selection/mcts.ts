import {
  drafting,
  EXPANSION_PARAMETERS,
  type ParameterSpec,
  type Parameters,
  type Policy,
  parameter,
  type Selection,
  type SelectionView,
} from "./policy.ts";
import type { Member } from "./population.ts";

const parameters = {
  drafts: EXPANSION_PARAMETERS.drafts,
  seeds: EXPANSION_PARAMETERS.seeds,
  repair_depth: EXPANSION_PARAMETERS.repair_depth,
  exploration: {
    default: 0.5,
    min: 0,
    max: 100,
    meaning: "weight of what was visited seldom against what was good (the c of UCT)",
  },
  widening: {
    default: 1,
    min: 0.01,
    max: 1000,
    meaning:
      "a node has at most widening × √(visits of its subtree) children before one of them is gone into",
  },
  best_share: {
    default: 0.7,
    min: 0,
    max: 1,
    meaning: "value of a subtree: this share its best node, the rest its mean",
  },
} as const satisfies Record<string, ParameterSpec>;

/**
 * Monte-Carlo tree search with UCT (L. Kocsis, C. Szepesvári, ECML 2006) and progressive widening (R. Coulom, 2007). A node's reward
 * is the logarithm of its speedup against that of the run's best; since one good kernel is what is wanted, a subtree is worth mostly its best
 * node. Claims under way count as visits without reward, so that agents at work together spread out. The tree follows
 * first parents.
 */
export const mcts: Policy = {
  name: "mcts",
  title: "MCTS: UCT over the tree of nodes, with progressive widening and virtual losses",
  parameters,
  trees: true,
  rootIsland: () => 0,
  select(view, given): Selection {
    const draft: Selection = { phase: "draft", parents: [], island: 0 };
    if (drafting(view, parameter(given, "drafts"))) return draft;
    const under = visitsUnderWay(view);
    let level = viable(view, view.population.rootIds, given);
    let visits = view.population.size + view.open.length;
    let chosen: Member | undefined;
    while (level.length > 0) {
      const next = bestOf(view, level, visits, under, given);
      chosen = next;
      const tree = view.population.subtree(next.id);
      visits = tree.visits + (under.get(next.id) ?? 0);
      const children = tree.children.length + direct(view, next.id);
      if (children < Math.max(1, parameter(given, "widening") * Math.sqrt(visits))) break;
      level = viable(view, tree.children, given);
    }
    return chosen === undefined ? draft : { phase: "expand", parents: [chosen.id], island: 0 };
  },
};

/** Those that may be gone into: what failed too often in a row, and what says nothing about the kernel, may not. */
function viable(view: SelectionView, ids: readonly string[], given: Parameters): Member[] {
  const depth = parameter(given, "repair_depth");
  return ids.flatMap((id) => {
    const member = view.population.get(id);
    return member === undefined || member.standing === "void" || member.failures > depth ? [] : [member];
  });
}

/** By UCT; the earlier node among equals. */
function bestOf(
  view: SelectionView,
  level: readonly Member[],
  visits: number,
  under: ReadonlyMap<string, number>,
  given: Parameters,
): Member {
  const scale = Math.log1p(view.population.elite()[0]?.merit ?? 0) || 1;
  const share = parameter(given, "best_share");
  const score = (member: Member): number => {
    const tree = view.population.subtree(member.id);
    const seen = tree.visits + (under.get(member.id) ?? 0);
    const value = (share * Math.log1p(tree.best) + ((1 - share) * tree.sum) / seen) / scale;
    return value + parameter(given, "exploration") * Math.sqrt(Math.log(Math.max(visits, 2)) / seen);
  };
  return level.reduce((best, member) => (score(member) > score(best) ? member : best));
}

function direct(view: SelectionView, id: string): number {
  return view.open.filter((claim) => claim.parents[0] === id).length;
}

/** Claims under way below each node. */
function visitsUnderWay(view: SelectionView): Map<string, number> {
  const under = new Map<string, number>();
  for (const claim of view.open) {
    for (let id = claim.parents[0]; id !== undefined; id = view.population.get(id)?.parents[0])
      under.set(id, (under.get(id) ?? 0) + 1);
  }
  return under;
}
