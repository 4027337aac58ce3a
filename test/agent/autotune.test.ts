import { describe, expect, it } from "vitest";
import { Arms } from "../../src/agent/autotune/arms.ts";
import { pointOf, rewrite, spaceOf } from "../../src/agent/autotune/configuration.ts";
import { autotuneDriver } from "../../src/agent/autotune/driver.ts";
import { expectedImprovement, fitModel } from "../../src/agent/autotune/gaussian.ts";
import {
  cross,
  differences,
  enumerate,
  mutate,
  neighbours,
  pattern,
  pointKey,
  spaceSize,
} from "../../src/agent/autotune/moves.ts";
import { propose, restart } from "../../src/agent/autotune/propose.ts";
import type { Proposal } from "../../src/agent/autotune/rank.ts";
import type { ProgressUpdate } from "../../src/domain/job.ts";
import type { Budget } from "../../src/domain/run.ts";
import { duplicateKey } from "../../src/evolution/normalise.ts";
import { type Random, randomFrom } from "../../src/evolution/random.ts";
import { context, type Outcome, settingsOf, tunable, World } from "../evolution/fakes.ts";
import { makeNode } from "../evolution/nodes.ts";
import { landscape, optimum } from "./landscape.ts";

const kinds = ["naive", "blocked", "vectorised"];
const seeds = kinds.map((kind) => ({ name: kind, source: tunable(kind), note: kind }));
const top = optimum(landscape(), (tile, unroll, pad, fast) =>
  tunable("vectorised", { tile, unroll, pad, fast }),
);

/** Runs a chooser over a landscape without a service: the best true speedup after each evaluation. */
function search(
  choose: (arms: Arms, random: Random) => Proposal | undefined,
  seed: number,
  evaluations: number,
  noise = 0,
): number[] {
  const measure = landscape(noise);
  const truth = landscape();
  const arms = new Arms("c");
  const curve: number[] = [];
  let best = 0;
  const add = (source: string, step: number, parents: readonly string[]): void => {
    const outcome = measure(source);
    const ratio = outcome.ratio ?? 0;
    best = Math.max(best, truth(source).ratio ?? 0);
    curve.push(best);
    const speedup = {
      baseline: "reference",
      ratio,
      low: ratio * 0.98,
      high: ratio * 1.02,
      credited: ratio > 1,
    };
    arms.add(
      outcome.status === undefined
        ? makeNode(step, { fitness: ratio, speedup, parents: [...parents] })
        : makeNode(step, { verdict: "rejected", status: outcome.status, parents: [...parents] }),
      source,
    );
  };
  for (const [step, { source }] of seeds.entries()) add(source, step, []);
  for (let step = seeds.length; step < evaluations; step += 1) {
    const proposal = choose(arms, randomFrom(seed, "autotune", step));
    if (proposal === undefined) break;
    add(
      rewrite(proposal.arm.template, proposal.arm.space, proposal.point),
      step,
      proposal.parents.map((parent) => parent.id),
    );
  }
  return curve;
}

async function drive(world: World, budget: Budget, more: { seed?: number; policy?: "best-of-n" } = {}) {
  const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget, ...more });
  const updates: ProgressUpdate[] = [];
  const overview = await autotuneDriver({ evolution: world.evolution }).drive(run.id, {
    ...context,
    report: (update) => updates.push(update),
  });
  return { run, overview, updates };
}

describe("configuration", () => {
  const source = tunable("blocked", { tile: 32, unroll: 4 });

  it("reads a space from the header and writes any point of it back", () => {
    const space = spaceOf(source, "c");
    if (space === undefined) throw new Error("no space");
    expect(
      space.dimensions.map((dimension) => [dimension.name, dimension.kind, dimension.values.length]),
    ).toEqual([
      ["TILE", "ordinal", 6],
      ["UNROLL", "ordinal", 5],
      ["PAD", "ordinal", 8],
      ["-ffast-math", "categorical", 2],
    ]);
    expect(spaceSize(space.dimensions)).toBe(480);
    for (const point of enumerate(space.dimensions)) {
      expect(pointOf(rewrite(source, space, point), space)).toEqual(point);
    }
    expect(settingsOf(rewrite(source, space, [0, 4, 7, 1]))).toMatchObject({
      tile: 8,
      unroll: 16,
      pad: 7,
      fast: true,
    });
  });

  it("gives all configurations of one code one structure, and other code or other values another", () => {
    const same = spaceOf(tunable("blocked", { tile: 64, fast: true }), "c");
    expect(same?.structure).toBe(spaceOf(source, "c")?.structure);
    expect(spaceOf(tunable("naive"), "c")?.structure).not.toBe(same?.structure);
    expect(spaceOf(source.replace("{8,16,32,64,128,256}", "{8,16,32}"), "c")?.structure).not.toBe(
      same?.structure,
    );
  });

  it("finds nothing to tune where nothing is declared, and refuses flags to switch without the fixed ones", () => {
    expect(spaceOf("int x;", "c")).toBeUndefined();
    expect(() => spaceOf("// ke:tunable-flags {-ffast-math}\nint x;", "c")).toThrow("ke:flags line");
    expect(spaceOf("// ke:tunable TILE int 8 {8}\nint x;", "c")).toBeUndefined();
  });
});

describe("moves", () => {
  const dimensions = [
    { name: "A", kind: "ordinal" as const, values: ["1", "2", "4", "8", "16", "32"] },
    { name: "B", kind: "categorical" as const, values: ["x", "y", "z"] },
    { name: "C", kind: "ordinal" as const, values: ["7"] },
  ];

  it("mutate always changes something, stays inside, and prefers near values", () => {
    const random = randomFrom("mutate");
    const distance = new Map<number, number>();
    for (let round = 0; round < 6000; round += 1) {
      const point = mutate(dimensions, [2, 1, 0], random);
      expect(differences(point, [2, 1, 0])).toBeGreaterThan(0);
      expect(
        point.every((value, index) => value >= 0 && value < (dimensions[index]?.values.length ?? 0)),
      ).toBe(true);
      const far = Math.abs((point[0] ?? 0) - 2);
      distance.set(far, (distance.get(far) ?? 0) + 1);
    }
    expect(distance.get(1) ?? 0).toBeGreaterThan(1.5 * (distance.get(2) ?? 0));
    expect(distance.get(2) ?? 0).toBeGreaterThan(distance.get(3) ?? 0);
  });

  it("cross takes every value from a parent; pattern goes on in the same direction, and stops at the edge", () => {
    const random = randomFrom("cross");
    for (let round = 0; round < 200; round += 1) {
      const child = cross([0, 0, 0], [5, 2, 0], random);
      expect([0, 5]).toContain(child[0]);
      expect([0, 2]).toContain(child[1]);
    }
    expect(pattern(dimensions, [1, 0, 0], [2, 1, 0])).toEqual([3, 1, 0]);
    expect(pattern(dimensions, [4, 0, 0], [5, 0, 0])).toEqual([5, 0, 0]);
    expect(neighbours(dimensions, [0, 0, 0], 1).map(pointKey).sort()).toEqual(["0,1,0", "0,2,0", "1,0,0"]);
  });
});

describe("model", () => {
  const dimensions = [
    { name: "A", kind: "ordinal" as const, values: ["0", "1", "2", "3", "4", "5", "6", "7"] },
    { name: "B", kind: "ordinal" as const, values: ["0", "1", "2", "3", "4", "5", "6", "7"] },
  ];
  const truth = ([a = 0]: readonly number[]): number => -0.05 * (a - 5) ** 2;

  it("interpolates, is sure where it has data and unsure where not, and learns what does not matter", () => {
    const points = [0, 2, 4, 6, 7].flatMap((a) => [0, 7].map((b) => [a, b]));
    const model = fitModel(
      dimensions,
      points.map((point) => ({ point, value: truth(point), variance: 1e-6 })),
      0.3,
    );
    for (const point of enumerate(dimensions))
      expect(Math.abs(model.predict(point).mean - truth(point))).toBeLessThan(0.15);
    const few = fitModel(dimensions, [{ point: [0, 0], value: 0, variance: 1e-6 }], 0.3);
    expect(few.predict([0, 0]).deviation).toBeLessThan(few.predict([7, 7]).deviation / 2);
    expect(fitModel(dimensions, [], 0.3).predict([1, 1])).toEqual({ mean: 0, deviation: 0.3 });
  });

  it("stays finite on equal and repeated observations, and on very many", () => {
    const many = Array.from({ length: 400 }, (_, index) => ({
      point: [index % 8, (index >> 3) % 8],
      value: 1,
      variance: 0,
    }));
    const { mean, deviation } = fitModel(dimensions, many, 0.3).predict([3, 3]);
    expect(mean).toBeCloseTo(1, 3);
    expect(Number.isFinite(deviation)).toBe(true);
  });

  it("expects improvement as the normal distribution says", () => {
    expect(expectedImprovement({ mean: 0, deviation: 1 }, 0)).toBeCloseTo(0.39894, 4);
    expect(expectedImprovement({ mean: 1, deviation: 0 }, 0.4)).toBeCloseTo(0.6, 6);
    expect(expectedImprovement({ mean: -1, deviation: 0.5 }, 1)).toBeLessThan(1e-4);
  });
});

describe("search on a known landscape", () => {
  const budgets = 40;
  const rounds = 8;
  const shareAt = (curves: number[][], at: number): number =>
    curves.reduce((sum, curve) => sum + (curve[Math.min(at, curve.length - 1)] ?? 0) / top, 0) /
    curves.length;
  const tuned = Array.from({ length: rounds }, (_, seed) =>
    search((arms, random) => propose(arms.all, random), seed, budgets),
  );
  const random = Array.from({ length: rounds }, (_, seed) =>
    search((arms, draw) => restart(arms.all, draw), seed, budgets),
  );

  it("finds 97 % of the optimum among 1,440 configurations in 40 evaluations, every time", () => {
    for (const curve of tuned) expect((curve.at(-1) ?? 0) / top).toBeGreaterThan(0.97);
  });

  it("is better than random search at 15, 25 and 40 evaluations", () => {
    for (const at of [14, 24, 39]) expect(shareAt(tuned, at)).toBeGreaterThan(shareAt(random, at) + 0.03);
  });

  it("copes with noise of 3 %", () => {
    const noisy = Array.from({ length: rounds }, (_, seed) =>
      search((arms, draw) => propose(arms.all, draw), seed, budgets, 0.03),
    );
    expect(shareAt(noisy, budgets - 1)).toBeGreaterThan(0.95);
  });

  it("plays the promising structure most", () => {
    const arms = new Arms("c");
    for (const [step, { source }] of seeds.entries())
      arms.add(makeNode(step, { fitness: landscape()(source).ratio ?? 0 }), source);
    const measure = landscape();
    for (let step = 3; step < 33; step += 1) {
      const proposal = propose(arms.all, randomFrom(1, step));
      if (proposal === undefined) throw new Error("nothing proposed");
      const source = rewrite(proposal.arm.template, proposal.arm.space, proposal.point);
      arms.add(makeNode(step, { fitness: measure(source).ratio ?? 0 }), source);
    }
    const played = arms.all.map((arm) => arm.tried.size);
    expect(Math.max(...played)).toBe(played[2]);
    expect(played[2] ?? 0).toBeGreaterThan(15);
  });
});

describe("driver", () => {
  it("stops exactly at the budget of nodes, with progress that never goes back", async () => {
    await using world = new World(landscape(), seeds);
    const { overview, updates } = await drive(world, { nodes: 25 });
    expect(overview).toMatchObject({ nodes: 25, run: { state: "finished" }, open_claims: 0 });
    expect(world.evaluations.calls.length).toBeGreaterThanOrEqual(25);
    for (const [index, update] of updates.entries()) {
      if (update.total !== 1) continue;
      const before = updates
        .slice(0, index)
        .filter((other) => other.total === 1)
        .at(-1);
      expect(update.progress).toBeGreaterThanOrEqual(before?.progress ?? 0);
    }
    expect(updates.at(-1)?.message).toMatch(
      /generation \d+ · 25 evaluations · best \d.*× \[.*\] over reference/,
    );
  });

  it("never proposes a twin", async () => {
    await using world = new World(landscape(), seeds);
    const { run } = await drive(world, { nodes: 60 });
    const nodes = await world.evolution.nodes(run.id, { limit: 100 });
    const keys = await Promise.all(
      nodes.map(async (node) => duplicateKey((await world.evolution.node(node.id)).source, "c")),
    );
    expect(new Set(keys).size).toBe(60);
    expect(world.store.graph.countClaims(run.id)).toBe(57);
  });

  it("is deterministic for a seed, and another seed differs", async () => {
    const sources = async (seed: number): Promise<string[]> => {
      await using world = new World(landscape(), seeds);
      const { run } = await drive(world, { nodes: 22 }, { seed });
      const nodes = await world.evolution.nodes(run.id, { limit: 100 });
      return Promise.all(nodes.map(async (node) => (await world.evolution.node(node.id)).source));
    };
    const [a, b, c] = [await sources(3), await sources(3), await sources(4)];
    expect(b).toEqual(a);
    expect(c).not.toEqual(a);
  });

  it("records operators and parents: mutations with one, crossovers with two", async () => {
    await using world = new World(landscape(), seeds);
    const { run } = await drive(world, { nodes: 60 }, { seed: 2 });
    const nodes = await world.evolution.nodes(run.id, { limit: 100 });
    const ids = new Set(nodes.map((node) => node.id));
    const made = nodes.filter((node) => node.operator !== "seed");
    expect(made.every((node) => node.parents.every((id) => ids.has(id)))).toBe(true);
    const parents = (operator: string): number[] =>
      made.filter((node) => node.operator === operator).map((node) => node.parents.length);
    expect(new Set(parents("mutate"))).toEqual(new Set([1]));
    // A new island begins with a draft, which has no parent.
    expect(parents("tune").every((count) => count <= 1)).toBe(true);
    expect(
      made.filter((node) => node.operator === "crossover").every((node) => node.parents.length === 2),
    ).toBe(true);
    expect(made.some((node) => node.operator === "mutate")).toBe(true);
    expect(made.every((node) => node.rationale.includes("→") || node.rationale.includes("-ffast-math"))).toBe(
      true,
    );
  });

  it("ends at the deadline in the middle of a child, without an open claim in the way", async () => {
    await using world = new World(landscape(), seeds);
    const run = await world.evolution.start({
      problem: "scale",
      target: "cpu-test",
      budget: { seconds: 2 },
    });
    await world.evolution.prepare(run.id, context);
    world.evaluations.gate = (work) =>
      new Promise((_resolve, reject) => {
        work.signal.addEventListener("abort", () => reject(new Error("cut off")));
      });
    const overview = await autotuneDriver({ evolution: world.evolution }).drive(run.id, context);
    expect(overview).toMatchObject({
      nodes: 3,
      run: { state: "finished", stop_reason: expect.stringContaining("budget spent") },
    });
  });

  it("goes on from an agent's structure, which no seed had", async () => {
    await using world = new World(landscape(), seeds.slice(0, 1));
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 25 } });
    const { claim } = await world.evolution.next(run.id, "agent");
    await world.evolution.submit(
      {
        run: run.id,
        claim: claim.id,
        source: tunable("vectorised"),
        rationale: "intrinsics",
        proposer: "agent",
      },
      context,
    );
    const overview = await autotuneDriver({ evolution: world.evolution }).drive(run.id, context);
    const { source } = await world.evolution.node(overview.best?.id ?? "");
    expect(settingsOf(source).kind).toBe("vectorised");
    expect((overview.best?.fitness ?? 0) / top).toBeGreaterThan(0.9);
  });

  it("leaves the run open when all is tried, and says how to go on when nothing can be tuned", async () => {
    const small = "// ke:flags -O3\n// ke:tunable TILE int 8 {8,16,32}\nint kernel;";
    await using world = new World(() => ({ ratio: 2 }), [{ name: "small", source: small, note: "" }]);
    const { overview, updates } = await drive(world, { nodes: 50 });
    expect(overview).toMatchObject({ nodes: 3, run: { state: "open" } });
    expect(updates.at(-1)?.message).toContain("every declared configuration has been tried");
    await using bare = new World(() => ({ ratio: 2 }), [{ name: "bare", source: "int kernel;", note: "" }]);
    await expect(drive(bare, { nodes: 50 })).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("has no kernel that declares tunables"),
      fix: expect.stringContaining("# ke:tunable int {16,32,64}"),
    });
    expect((await bare.evolution.list())[0]).toMatchObject({ nodes: 1, run: { state: "open" } });
    await using empty = new World(() => ({ ratio: 2 }), []);
    await expect(drive(empty, { nodes: 50 })).rejects.toThrow(/has no kernel yet, and none ships/);
  });

  it("gives up with the cause when the machinery fails again and again", async () => {
    let calls = 0;
    const judge = (): Outcome => {
      calls += 1;
      return calls > 3
        ? { status: "infrastructure_error", message: "the judge does not start" }
        : { ratio: 2 };
    };
    await using world = new World(judge, seeds);
    await expect(drive(world, { nodes: 1000 })).rejects.toMatchObject({
      code: "infrastructure",
      message: expect.stringContaining("the judge does not start"),
    });
    expect(calls).toBeLessThan(20);
  });

  it("draws without feedback under best-of-n, the control", async () => {
    await using world = new World(landscape(), seeds);
    const { run } = await drive(world, { nodes: 30 }, { policy: "best-of-n" });
    const nodes = await world.evolution.nodes(run.id, { limit: 100 });
    expect(nodes.filter((node) => node.operator !== "seed").every((node) => node.operator === "tune")).toBe(
      true,
    );
  });

  it("stops when told to, and another drive goes on", async () => {
    await using world = new World(landscape(), seeds);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 12 } });
    const controller = new AbortController();
    world.evaluations.gate = async () => {
      if (world.evaluations.calls.length === 6) controller.abort();
    };
    const driver = autotuneDriver({ evolution: world.evolution });
    await expect(driver.drive(run.id, { ...context, signal: controller.signal })).rejects.toThrow();
    expect((await world.evolution.get(run.id)).run.state).toBe("open");
    expect(await driver.drive(run.id, context)).toMatchObject({ nodes: 12, run: { state: "finished" } });
  });
});
