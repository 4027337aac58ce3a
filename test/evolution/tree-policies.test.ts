import { describe, expect, it } from "vitest";
import type { Node } from "../../src/domain/run.ts";
import { randomFrom } from "../../src/evolution/random.ts";
import {
  Population,
  policies,
  resolveParameters,
  type Selection,
} from "../../src/evolution/selection/index.ts";
import { brokenNode, makeNode } from "./nodes.ts";

const { "one-shot": oneShot, linear, beam, mcts } = policies;

function select(
  policy: (typeof policies)[keyof typeof policies],
  nodes: readonly Node[],
  given: Record<string, number> = {},
  open: { parents: string[]; island: number; phase: "draft" | "expand" }[] = [],
  ordinal = 0,
): Selection {
  const population = new Population();
  population.addAll(nodes);
  const view = { population, open, ordinal, random: randomFrom("test", ordinal) };
  return policy.select(view, resolveParameters(policy, given));
}

/**
 * Runs a policy on a landscape without any evaluation: a child's fitness is what `fitness` says of its parent's and its number.
 * Answers the nodes in the order they were made.
 */
function simulate(
  policy: (typeof policies)[keyof typeof policies],
  count: number,
  fitness: (parent: Node | undefined, step: number) => number,
  given: Record<string, number> = {},
): Node[] {
  const population = new Population();
  const parameters = resolveParameters(policy, given);
  const nodes: Node[] = [];
  for (let step = 0; step < count; step += 1) {
    const random = randomFrom("simulate", step);
    const { parents } = policy.select({ population, open: [], ordinal: step, random }, parameters);
    const parent = nodes.find((node) => node.id === parents[0]);
    const value = fitness(parent, step);
    const node =
      value < 0
        ? brokenNode(step, { parents: [...parents] })
        : makeNode(step, { fitness: value, parents: [...parents] });
    nodes.push(node);
    population.add(node);
  }
  return nodes;
}

describe("one-shot", () => {
  it("is one draft, and bounds the run by it", () => {
    expect(select(oneShot, [])).toEqual({ phase: "draft", parents: [], island: 0 });
    expect(oneShot.bounds).toEqual({ nodes: 1 });
    expect(resolveParameters(oneShot, {})["seeds"]).toBe(0);
  });
});

describe("linear", () => {
  it("goes on from the newest, passed or failed", () => {
    expect(select(linear, []).phase).toBe("draft");
    expect(select(linear, [makeNode(0, { fitness: 5 })]).parents).toEqual(["n0"]);
    const worse = [makeNode(0, { fitness: 5 }), makeNode(1, { fitness: 1, parents: ["n0"] })];
    expect(select(linear, worse).parents).toEqual(["n1"]);
    expect(select(linear, [...worse, brokenNode(2, { parents: ["n1"] })]).parents).toEqual(["n2"]);
  });

  it("goes back to the best after repair_depth failures, and drafts anew when nothing passed", () => {
    const chain = [
      makeNode(0, { fitness: 5 }),
      makeNode(1, { fitness: 1, parents: ["n0"] }),
      brokenNode(2, { parents: ["n1"] }),
      brokenNode(3, { parents: ["n2"] }),
    ];
    expect(select(linear, chain, { repair_depth: 2 }).parents).toEqual(["n3"]);
    expect(select(linear, chain, { repair_depth: 1 }).parents).toEqual(["n0"]);
    expect(select(linear, [brokenNode(0)], { repair_depth: 0 }).phase).toBe("draft");
  });

  it("does not go on from what an infrastructure failure left", () => {
    const nodes = [
      makeNode(0, { fitness: 5 }),
      brokenNode(1, { parents: ["n0"], status: "infrastructure_error" }),
    ];
    expect(select(linear, nodes).parents).toEqual(["n0"]);
  });
});

describe("beam", () => {
  const nodes = Array.from({ length: 6 }, (_, step) => makeNode(step, { fitness: 1 + step }));

  it("expands the best `width` in turn, `branching` children each", () => {
    const made = simulate(beam, 6 + 12, (parent, step) => (parent === undefined ? 1 + step : 0.5), {
      drafts: 6,
      width: 3,
      branching: 2,
      repair: 0,
    });
    const counts = new Map<string, number>();
    for (const node of made.slice(6))
      counts.set(node.parents[0] ?? "", (counts.get(node.parents[0] ?? "") ?? 0) + 1);
    expect(Object.fromEntries(counts)).toEqual({ n5: 4, n4: 4, n3: 4 });
    expect(made.slice(6, 12).map((node) => node.parents[0])).toEqual(["n5", "n5", "n4", "n4", "n3", "n3"]);
  });

  it("a better child takes a place at once; claims under way count as children", () => {
    const better = [...nodes, makeNode(6, { fitness: 99, parents: ["n5"] })];
    expect(select(beam, better, { width: 1, repair: 0 }).parents).toEqual(["n6"]);
    const busy = { parents: ["n5"], island: 0, phase: "expand" as const };
    expect(select(beam, nodes, { width: 2, branching: 1, repair: 0 }, [busy]).parents).toEqual(["n4"]);
  });

  it("repairs when nothing passed", () => {
    expect(select(beam, [brokenNode(0), brokenNode(1), brokenNode(2)], { repair: 0 }).parents).toHaveLength(
      1,
    );
  });
});

describe("mcts", () => {
  it("goes into the better subtree most, and still looks at the others", () => {
    // Two roots: below n0 every child is a little better than its parent, below n1 none is.
    const roots = new Map<string, string>();
    const made = simulate(
      mcts,
      300,
      (parent, step) => {
        const root = parent === undefined ? `n${step}` : (roots.get(parent.id) ?? "");
        roots.set(`n${step}`, root);
        if (parent === undefined) return step === 0 ? 2 : 1.9;
        return parent.fitness + (root === "n0" ? 0.05 : 0);
      },
      { drafts: 2 },
    );
    const share = made.slice(2).filter((node) => roots.get(node.id) === "n0").length / (made.length - 2);
    expect(share).toBeGreaterThan(0.6);
    expect(share).toBeLessThan(1);
  });

  it("explores evenly when nothing tells the roots apart", () => {
    const made = simulate(mcts, 203, () => 1, { drafts: 3, exploration: 2 });
    const byRoot = new Map<string, number>();
    const roots = new Map<string, string>();
    for (const node of made) {
      const root = node.parents[0] === undefined ? node.id : (roots.get(node.parents[0]) ?? node.id);
      roots.set(node.id, root);
      byRoot.set(root, (byRoot.get(root) ?? 0) + 1);
    }
    for (const count of byRoot.values()) expect(count).toBeGreaterThan(40);
  });

  it("spreads agents that work at once", () => {
    const nodes = [makeNode(0, { fitness: 2 }), makeNode(1, { fitness: 2 }), makeNode(2, { fitness: 2 })];
    const open: { parents: string[]; island: number; phase: "expand" }[] = [];
    for (let agent = 0; agent < 3; agent += 1) {
      const { parents } = select(mcts, nodes, {}, open);
      open.push({ parents: [...parents], island: 0, phase: "expand" });
    }
    expect(new Set(open.map((claim) => claim.parents[0])).size).toBe(3);
  });

  it("widening bounds the children of a node before one of them is gone into", () => {
    const deep = simulate(mcts, 60, () => 1, { drafts: 1, widening: 0.01 });
    expect(Math.max(...countChildren(deep))).toBe(1);
    const wide = simulate(mcts, 60, () => 1, { drafts: 1, widening: 1000 });
    expect(Math.max(...countChildren(wide))).toBe(59);
  });

  it("gives up what failed too often in a row, and what says nothing of the kernel", () => {
    const nodes = [
      makeNode(0, { fitness: 1 }),
      brokenNode(1, { parents: ["n0"] }),
      brokenNode(2, { parents: ["n1"] }),
      brokenNode(3, { status: "infrastructure_error" }),
    ];
    const given = { repair_depth: 1, widening: 0.01, drafts: 1 };
    expect(select(mcts, nodes, given).parents).toEqual(["n1"]);
    expect(select(mcts, nodes, { ...given, repair_depth: 0 }).parents).toEqual(["n0"]);
  });
});

describe("subtrees", () => {
  it("are kept for the policies that ask for them alone: in a chain each node costs the length of its line", () => {
    const asking = Object.values(policies).filter((policy) => policy.trees === true);
    expect(asking).toEqual([mcts]);
    const without = new Population(undefined, false);
    without.addAll([makeNode(0, { fitness: 1 }), makeNode(1, { fitness: 2, parents: ["n0"] })]);
    expect(without.subtree("n0")).toMatchObject({ visits: 0, children: [] });
    expect(without.rootIds).toEqual(["n0"]);
    expect(without.childrenOf("n0")).toBe(1);
    const chain = simulate(linear, 3000, () => 1);
    expect(chain.at(-1)?.parents).toEqual(["n2998"]);
  });
});

describe("every policy", () => {
  it.each(Object.entries(policies))(
    "%s: same view, same choice; copes with zero and equal fitness",
    (_name, policy) => {
      const nodes = Array.from({ length: 40 }, (_, step) =>
        step % 4 === 3
          ? brokenNode(step, { parents: [`n${step - 1}`] })
          : makeNode(step, { fitness: 0, island: step % 3 }),
      );
      for (let ordinal = 0; ordinal < 50; ordinal += 1) {
        const first = select(policy, nodes, {}, [], ordinal);
        expect(select(policy, nodes, {}, [], ordinal)).toEqual(first);
        for (const id of first.parents) expect(nodes.some((node) => node.id === id)).toBe(true);
      }
    },
  );

  it("climbs a slope: the tree policies beat best-of-n on one where children resemble their parents", () => {
    const slope = (parent: Node | undefined, step: number): number =>
      Math.max(0.01, (parent?.fitness ?? 1) + randomFrom("slope", step).normal() * 0.2);
    const best = (policy: (typeof policies)[keyof typeof policies]): number =>
      Math.max(...simulate(policy, 120, slope).map((node) => node.fitness));
    const control = best(policies["best-of-n"]);
    for (const name of ["greedy", "beam", "mcts", "islands"] as const)
      expect(best(policies[name]), name).toBeGreaterThan(control);
  });
});

function countChildren(nodes: readonly Node[]): number[] {
  return nodes.map((node) => nodes.filter((other) => other.parents[0] === node.id).length);
}
