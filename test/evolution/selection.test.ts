import { describe, expect, it } from "vitest";
import type { Node } from "../../src/domain/run.ts";
import { randomFrom } from "../../src/evolution/random.ts";
import {
  type Policy,
  Population,
  policies,
  resolveParameters,
  type Selection,
} from "../../src/evolution/selection/index.ts";
import { tournament } from "../../src/evolution/selection/islands.ts";
import { meritOf } from "../../src/evolution/selection/population.ts";
import { parentWeights } from "../../src/evolution/selection/weights.ts";
import { brokenNode, makeNode } from "./nodes.ts";

function populationOf(nodes: readonly Node[]): Population {
  const population = new Population();
  for (const node of nodes) population.add(node);
  return population;
}

/** Many choices over one unchanged population. */
function choices(
  policy: Policy,
  nodes: readonly Node[],
  given: Record<string, number> = {},
  count = 4000,
): Selection[] {
  const population = populationOf(nodes);
  const parameters = resolveParameters(policy, given);
  return Array.from({ length: count }, (_, ordinal) =>
    policy.select({ population, open: [], ordinal, random: randomFrom("test", ordinal) }, parameters),
  );
}

function shareOf(selections: readonly Selection[], test: (selection: Selection) => boolean): number {
  return selections.filter(test).length / selections.length;
}

const { greedy, islands, "best-of-n": bestOfN } = policies;

describe("parameters", () => {
  it("are validated by name, bounds and kind, and every default is within its own bounds", () => {
    for (const policy of Object.values(policies)) {
      expect(() => resolveParameters(policy, {})).not.toThrow();
      for (const [name, spec] of Object.entries(policy.parameters)) {
        expect(resolveParameters(policy, { [name]: spec.default })[name]).toBe(spec.default);
        expect(() => resolveParameters(policy, { [name]: spec.max + 1 })).toThrow(`policy_params.${name}`);
        expect(() => resolveParameters(policy, { [name]: Number.NaN })).toThrow(`policy_params.${name}`);
        expect(spec.meaning.length).toBeGreaterThan(10);
      }
      expect(() => resolveParameters(policy, { nonsense: 1 })).toThrow("policy_params.nonsense");
      expect(() => resolveParameters(policy, { constructor: 1 })).toThrow("policy_params.constructor");
    }
    expect(() => resolveParameters(islands, { islands: 1.5 })).toThrow(
      "policy_params.islands: 1.5 is not allowed",
    );
  });
});

describe("merit", () => {
  it("ranks credited above uncredited, by the slope that an uncredited pass still shows, and failures nowhere", () => {
    const speedup = { baseline: "reference", ratio: 0.4, low: 0.3, high: 0.5, credited: false };
    expect(meritOf(makeNode(0, { fitness: 2 }))).toBe(2);
    expect(meritOf(makeNode(0, { fitness: 0, speedup }))).toBe(0.4);
    expect(meritOf(makeNode(0, { fitness: 0, speedup: { ...speedup, ratio: 9 } }))).toBe(1);
    expect(meritOf(makeNode(0, { fitness: 0, status: "too_noisy", speedup }))).toBe(0.3);
    expect(meritOf(brokenNode(0, { speedup: { ...speedup, ratio: 50 } }))).toBe(0);
    expect(meritOf(makeNode(0, { verdict: "flagged", fitness: 0, speedup: { ...speedup, ratio: 50 } }))).toBe(
      0,
    );
  });
});

describe("population", () => {
  it("keeps passed nodes by merit, also when added in any order", () => {
    const random = randomFrom("order");
    const nodes = Array.from({ length: 500 }, (_, step) =>
      makeNode(step, { fitness: random.integer(40) / 10 }),
    );
    const elite = populationOf(nodes).elite();
    expect(elite).toHaveLength(500);
    for (const [index, member] of elite.entries()) {
      const previous = elite[index - 1];
      if (previous === undefined) continue;
      expect(
        previous.merit > member.merit || (previous.merit === member.merit && previous.step < member.step),
      ).toBe(true);
    }
  });

  it("counts the failed leaves as it lists them", () => {
    const random = randomFrom("leaves");
    const population = new Population();
    for (let step = 0; step < 300; step += 1) {
      const parents = step === 0 ? [] : [`n${random.integer(step)}`];
      population.add(random.next() < 0.5 ? brokenNode(step, { parents }) : makeNode(step, { parents }));
      for (const depth of [0, 1, 3, 100])
        expect(population.repairableCount(depth)).toBe(population.repairable(depth).length);
    }
    expect(population.repairableCount(100)).toBeGreaterThan(10);
  });

  it("adds a node once", () => {
    const population = populationOf([makeNode(0, { fitness: 2 })]);
    population.add(makeNode(0, { fitness: 2 }));
    expect(population.size).toBe(1);
    expect(population.elite()).toHaveLength(1);
  });
});

describe("greedy", () => {
  it("drafts first, then takes the best, moving on after patience", () => {
    const two = [makeNode(0, { fitness: 2 }), makeNode(1, { fitness: 3 })];
    expect(shareOf(choices(greedy, two), (s) => s.phase === "draft")).toBe(1);
    const three = [...two, makeNode(2, { fitness: 1 })];
    expect(shareOf(choices(greedy, three), (s) => s.parents[0] === "n1")).toBe(1);
    const tired = [...three, ...[3, 4].map((step) => makeNode(step, { fitness: 0, parents: ["n1"] }))];
    expect(shareOf(choices(greedy, tired, { patience: 2 }), (s) => s.parents[0] === "n0")).toBe(1);
  });

  it("repairs failed leaves as often as asked, and never picks one as elite parent", () => {
    const nodes = [makeNode(0, { fitness: 2 }), makeNode(1), makeNode(2), brokenNode(3, { parents: ["n0"] })];
    const share = shareOf(choices(greedy, nodes, { repair: 0.25 }), (s) => s.parents[0] === "n3");
    expect(share).toBeGreaterThan(0.22);
    expect(share).toBeLessThan(0.28);
    expect(shareOf(choices(greedy, nodes, { repair: 0 }), (s) => s.parents[0] === "n3")).toBe(0);
  });

  it("gives a lineage up after repair_depth failures in a row", () => {
    const nodes = [
      makeNode(0, { fitness: 2 }),
      makeNode(1),
      makeNode(2),
      brokenNode(3, { parents: ["n0"] }),
      brokenNode(4, { parents: ["n3"] }),
    ];
    expect(
      shareOf(choices(greedy, nodes, { repair: 1, repair_depth: 1 }), (s) => s.parents[0] === "n0"),
    ).toBe(1);
    expect(
      shareOf(choices(greedy, nodes, { repair: 1, repair_depth: 2 }), (s) => s.parents[0] === "n4"),
    ).toBe(1);
  });

  it("does not hold an infrastructure failure against a kernel, nor build on it", () => {
    const nodes = [
      makeNode(0, { fitness: 2 }),
      makeNode(1),
      makeNode(2),
      brokenNode(3, { parents: ["n0"], status: "infrastructure_error" }),
    ];
    expect(shareOf(choices(greedy, nodes, { repair: 1 }), (s) => s.parents[0] === "n0")).toBe(1);
  });

  it("repairs when nothing passed at all", () => {
    const nodes = [brokenNode(0), brokenNode(1), brokenNode(2)];
    expect(
      shareOf(choices(greedy, nodes, { repair: 0 }), (s) => s.phase === "expand" && s.parents.length === 1),
    ).toBe(1);
  });

  it("counts claims under way as children and as drafts", () => {
    const population = populationOf([makeNode(0, { fitness: 3 }), makeNode(1, { fitness: 2 }), makeNode(2)]);
    const parameters = resolveParameters(greedy, { patience: 1 });
    const busy = { parents: ["n0"], island: 0, phase: "expand" as const };
    const random = randomFrom(1);
    expect(greedy.select({ population, open: [busy], ordinal: 1, random }, parameters).parents).toEqual([
      "n1",
    ]);
    const none = { population: new Population(), ordinal: 1, random };
    const draft = { parents: [], island: 0, phase: "draft" as const };
    expect(greedy.select({ ...none, open: [draft, draft, draft] }, parameters).phase).toBe("draft");
  });
});

describe("best-of-n", () => {
  it("never gives a parent", () => {
    const nodes = [makeNode(0, { fitness: 9 }), makeNode(1), makeNode(2), makeNode(3)];
    expect(shareOf(choices(bestOfN, nodes), (s) => s.phase === "draft" && s.parents.length === 0)).toBe(1);
  });
});

describe("islands", () => {
  const nodes = Array.from({ length: 30 }, (_, step) =>
    makeNode(step, {
      fitness: 1 + step / 10,
      island: step % 3,
      parents: step < 3 ? [] : [`n${step - 3}`],
    }),
  );
  const begun = ["n0", "n1", "n2"];

  it("serves the emptiest island, counting claims under way", () => {
    const uneven = [
      ...nodes,
      makeNode(30, { island: 0, fitness: 1.5 }),
      makeNode(31, { island: 1, fitness: 1.5 }),
    ];
    expect(shareOf(choices(islands, uneven), (s) => s.island === 2)).toBe(1);
    const population = populationOf(uneven);
    const open = [
      { parents: [], island: 2, phase: "expand" as const },
      { parents: [], island: 2, phase: "expand" as const },
    ];
    const chosen = islands.select(
      { population, open, ordinal: 0, random: randomFrom(1) },
      resolveParameters(islands, {}),
    );
    expect(chosen.island).toBe(0);
  });

  it("crosses two different parents with the asked probability", () => {
    const drawn = choices(islands, nodes, { crossover: 0.4, repair: 0 });
    expect(shareOf(drawn, (s) => s.parents.length === 2)).toBeCloseTo(0.4, 1);
    expect(drawn.every((s) => new Set(s.parents).size === s.parents.length)).toBe(true);
  });

  it("keeps islands apart but for the beginnings and the migrants of the previous one", () => {
    const islandOf = new Map(nodes.map((node) => [node.id, node.island]));
    const stranger = ({ parents: [id = ""], island }: Selection): boolean =>
      islandOf.get(id) !== island && !begun.includes(id);
    const apart = choices(islands, nodes, { crossover: 0, migrants: 0, repair: 0 });
    expect(apart.some(stranger)).toBe(false);
    const mixed = choices(islands, nodes, { crossover: 0, migrants: 2, migration_interval: 10, repair: 0 });
    const strangers = new Set(mixed.filter(stranger).map((s) => s.parents[0]));
    // Island 0 is served; the two best of island 2 at step 30 are its steps 29 and 26.
    expect([...strangers].toSorted((a = "", b = "") => a.localeCompare(b))).toEqual(["n26", "n29"]);
  });

  it("copes with zero and equal fitness: every parent keeps a fair share", () => {
    const flat = Array.from({ length: 9 }, (_, step) => makeNode(step, { island: 0 }));
    const drawn = choices(islands, flat, { islands: 1, crossover: 1, repair: 0, tournament: 1 }, 9000);
    for (const node of flat) {
      const share = shareOf(drawn, (s) => s.parents[0] === node.id);
      expect(share).toBeGreaterThan(0.08);
      expect(share).toBeLessThan(0.14);
    }
  });

  it("never takes a failed node as an elite parent", () => {
    const mixed = [
      ...nodes.slice(0, 9),
      ...Array.from({ length: 9 }, (_, at) => brokenNode(9 + at, { island: at % 3, fitness: 0 })),
    ];
    const drawn = choices(islands, mixed, { repair: 0 });
    expect(drawn.every((s) => s.parents.every((id) => Number(id.slice(1)) < 9))).toBe(true);
  });
});

describe("tournament", () => {
  it("wins by merit with the probability that its size gives", () => {
    const members = populationOf(
      Array.from({ length: 10 }, (_, step) => makeNode(step, { fitness: 1 + step })),
    ).elite();
    const random = randomFrom("tournament");
    const wins =
      Array.from({ length: 20_000 }, () => tournament(members, 3, random)).filter((m) => m.id === "n9")
        .length / 20_000;
    // 1 - 0.9³
    expect(wins).toBeGreaterThan(0.255);
    expect(wins).toBeLessThan(0.287);
  });
});

describe("parentWeights", () => {
  it("prefers merit, halves what has a child, and is equal for equals", () => {
    const [low = 0, high = 0] = parentWeights([1, 2], [0, 0]);
    expect(high).toBeGreaterThan(low);
    const [fresh = 0, used = 0] = parentWeights([2, 2], [0, 1]);
    expect(fresh / used).toBeCloseTo(2, 10);
    expect(new Set(parentWeights([0, 0, 0], [0, 0, 0])).size).toBe(1);
  });

  it("lets no outlier take everything", () => {
    const weights = parentWeights([1, 1.1, 1.2, 1.3, 500], [0, 0, 0, 0, 0]);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    expect((weights[4] ?? 0) / total).toBeLessThan(0.5);
  });
});
