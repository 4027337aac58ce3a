import { describe, expect, it } from "vitest";
import type { Node } from "../../src/domain/run.ts";
import { randomFrom } from "../../src/evolution/random.ts";
import {
  Population,
  policies,
  resolveParameters,
  type Selection,
} from "../../src/evolution/selection/index.ts";
import { CELL_KEEPS } from "../../src/evolution/selection/population.ts";
import { brokenNode, makeNode } from "./nodes.ts";

const { islands } = policies;
/** In these tests a node's cell stands in its rationale. */
const cellOf = (node: Node): string => node.rationale;
const steps = (count: number): number[] => Array.from({ length: count }, (_, step) => step);

function populationOf(nodes: readonly Node[]): Population {
  const population = new Population(cellOf);
  population.addAll(nodes);
  return population;
}

function choices(
  nodes: readonly Node[],
  given: Record<string, number>,
  open: { parents: string[]; island: number; phase: "draft" | "expand" }[] = [],
  count = 3000,
): Selection[] {
  const population = populationOf(nodes);
  const parameters = resolveParameters(islands, given);
  return steps(count).map((ordinal) =>
    islands.select({ population, open, ordinal, random: randomFrom("islands", ordinal) }, parameters),
  );
}

describe("MAP-Elites cells", () => {
  // A crowded good cell, and one member each in two poor ones.
  const nodes = steps(40).map((step) =>
    makeNode(step, {
      parents: step < 3 ? [] : ["n0"],
      fitness: step === 38 ? 1.1 : step === 39 ? 1.2 : 3 + step / 100,
      rationale: step === 38 ? "poor" : step === 39 ? "other" : "crowd",
    }),
  );
  const alone = { islands: 1, crossover: 0, repair: 0, stagnation: 1_000_000 };

  it("are drawn evenly, and give their elites only", () => {
    const drawn = choices(nodes, { ...alone, diversity: 1, cell_elites: 2 });
    const share = (id: string): number =>
      drawn.filter(({ parents }) => parents[0] === id).length / drawn.length;
    expect(share("n38")).toBeCloseTo(1 / 3, 1);
    expect(share("n39")).toBeCloseTo(1 / 3, 1);
    // The two best of the crowd share its third.
    expect(share("n37") + share("n36")).toBeCloseTo(1 / 3, 1);
    expect(share("n37")).toBeGreaterThan(0.1);
  });

  it("are left alone with diversity 0: the tournament decides", () => {
    const drawn = choices(nodes, { ...alone, diversity: 0, tournament: 20 });
    expect(drawn.filter(({ parents }) => ["n38", "n39"].includes(parents[0] ?? ""))).toEqual([]);
  });

  it("never hold a failed node, and keep their best however many come", () => {
    const population = populationOf([
      ...steps(60).map((step) => makeNode(step, { fitness: 1 + ((step * 37) % 60), rationale: "a" })),
      ...steps(10).map((step) => brokenNode(60 + step, { rationale: "a" })),
    ]);
    const cell = population.cells(0).get("a") ?? [];
    expect(cell).toHaveLength(CELL_KEEPS);
    expect(cell.map((member) => member.merit)).toEqual(steps(CELL_KEEPS).map((step) => 60 - step));
    expect(cell.every((member) => member.standing === "elite")).toBe(true);
  });

  it("cope with zero and equal fitness", () => {
    const flat = steps(30).map((step) => makeNode(step, { rationale: `cell ${step % 3}` }));
    const drawn = choices(flat, { ...alone, diversity: 1, cell_elites: 16 });
    for (const node of flat)
      expect(drawn.filter(({ parents }) => parents[0] === node.id).length).toBeGreaterThan(0);
  });
});

describe("stagnation", () => {
  /** A run whose best came at step 2, then `after` children without a gain, on three islands. */
  const stalled = (after: number): Node[] => [
    ...steps(3).map((step) => makeNode(step, { fitness: 1 + step, island: step })),
    ...steps(after).map((step) =>
      makeNode(3 + step, { fitness: 0.5, island: step % 3, parents: [`n${step % 3}`] }),
    ),
  ];
  const given = { stagnation: 10, repair: 0, crossover: 0 };

  it("begins a new island with one draft, not before its time and not twice", () => {
    expect(choices(stalled(9), given, [], 50).every((s) => s.phase === "expand" && s.island < 3)).toBe(true);
    const founding = { phase: "draft" as const, parents: [], island: 3 };
    expect(choices(stalled(10), given, [], 50).every((s) => s.phase === "draft" && s.island === 3)).toBe(
      true,
    );
    const rest = choices(stalled(10), given, [{ ...founding }], 50);
    expect(rest.every((s) => s.phase === "expand" && s.island < 3)).toBe(true);
  });

  it("gives the new island a head start, then its fair share", () => {
    const population = populationOf(stalled(30));
    const parameters = resolveParameters(islands, { ...given, stagnation: 30, migrants: 0 });
    const served: number[] = [];
    let best = 10;
    for (let step = 33; step < 33 + 80; step += 1) {
      const random = randomFrom("served", step);
      const selection = islands.select({ population, open: [], ordinal: step, random }, parameters);
      served.push(selection.island);
      best += 1;
      population.add(
        makeNode(step, { fitness: best, island: selection.island, parents: [...selection.parents] }),
      );
    }
    const count = (from: number, to: number): number =>
      served.slice(from, to).filter((one) => one === 3).length;
    expect(count(0, 8)).toBe(8);
    expect(count(20, 80)).toBe(15);
  });

  it("adds no more islands than islands_most, and none when it is not above islands", () => {
    const highest = (most: number): number => {
      const population = populationOf(stalled(30));
      const parameters = resolveParameters(islands, { ...given, islands_most: most });
      const seen: number[] = [];
      for (let step = 33; step < 200; step += 1) {
        const random = randomFrom("most", step);
        const { island, parents } = islands.select(
          { population, open: [], ordinal: step, random },
          parameters,
        );
        seen.push(island);
        population.add(makeNode(step, { fitness: 0.5, island, parents: [...parents] }));
      }
      return Math.max(...seen);
    };
    expect(highest(5)).toBe(4);
    expect(highest(1)).toBe(2);
  });

  it("counts stalls that never fall as nodes come in", () => {
    const population = new Population();
    let before = 0;
    const random = randomFrom("stalls");
    for (const step of steps(400)) {
      population.add(makeNode(step, { fitness: random.next() * (1 + step / 100) }));
      const now = population.stalls(7);
      expect(now).toBeGreaterThanOrEqual(before);
      before = now;
    }
    expect(before).toBeGreaterThan(10);
  });
});

describe("beginnings", () => {
  it("are shared by the islands of the beginning, and kept from one that began later", () => {
    const nodes = [
      ...steps(3).map((step) => makeNode(step, { fitness: 1 + step, island: step })),
      makeNode(3, { fitness: 0.5, island: 3 }),
      ...steps(30).map((step) =>
        makeNode(4 + step, { fitness: 0.4, island: step % 3, parents: [`n${step % 3}`] }),
      ),
    ];
    const given = { stagnation: 20, islands_most: 4, migrants: 0, crossover: 0, diversity: 0, repair: 0 };
    // Island 3 has one node and its head start: it is served, from its own draft alone.
    const late = choices(nodes, given, [], 200);
    expect(late.every((s) => s.island === 3 && s.parents[0] === "n3")).toBe(true);
    const early = choices(nodes, { ...given, stagnation: 1000 }, [], 500);
    expect(early.every((s) => s.island < 3)).toBe(true);
    expect(new Set(early.map((s) => s.parents[0]))).toContain("n2");
  });
});
