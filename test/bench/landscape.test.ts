import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { autotuneDriver } from "../../src/agent/autotune/driver.ts";
import { openStore } from "../../src/store/index.ts";
import { landscape } from "../agent/landscape.ts";
import { context, tunable, World } from "../evolution/fakes.ts";
import { simulatedEvolution } from "./agents/simulated.ts";
import { startAgents } from "./agents/start.ts";
import { faultsOf, readTold, type Told } from "./agents/told.ts";
import { LANDSCAPES } from "./landscape/grids.ts";
import { Landscape } from "./landscape/landscape.ts";
import { type Measured, replay } from "./landscape/replay.ts";

const judge = landscape(0.02);
const seeds = ["naive", "blocked", "vectorised"].map((kind) => ({
  name: kind,
  source: tunable(kind),
  note: kind,
}));
/** The synthetic landscape as the service's fake evaluations report it. */
const measured: Measured = {
  seeds,
  outcome(source) {
    const { status = "ok", ratio = 0 } = judge(source);
    if (status !== "ok") return { status, speedup: undefined };
    const low = ratio * 0.99;
    const credited = low > 1.015;
    return { status, speedup: { baseline: "reference", ratio, low, high: ratio * 1.01, credited } };
  },
};

describe("recorded landscapes", () => {
  it.each(LANDSCAPES)("$problem: whole, of the kernels as they ship, with something to find", (spec) => {
    const recorded = new Landscape(spec);
    expect(recorded.size).toBeGreaterThanOrEqual(100);
    expect(recorded.size).toBeLessThanOrEqual(300);
    expect(recorded.best).toBeGreaterThan(1);
    for (const { source } of recorded.seeds) expect(recorded.outcome(source).status).toBe("ok");
    expect(() => recorded.outcome("int foreign;")).toThrow("is not in the landscape");
    const { curve, sources } = replay(recorded, "islands", 77, recorded.size + 10);
    // Every configuration once, none twice, and the best among them.
    expect(curve).toHaveLength(recorded.size);
    expect(new Set(sources).size).toBe(recorded.size);
    expect(curve.at(-1)).toBe(recorded.best);
  });
});

describe("replay", () => {
  it.each(["islands", "greedy", "mcts", "best-of-n"] as const)(
    "%s: makes the very children that a run through store, service and driver makes",
    async (policy) => {
      await using world = new World(judge, seeds);
      const run = await world.evolution.start({
        problem: "scale",
        target: "cpu-test",
        policy,
        budget: { nodes: 20 },
        seed: 11,
      });
      await autotuneDriver({ evolution: world.evolution }).drive(run.id, context);
      const nodes = await world.evolution.nodes(run.id, { limit: 100 });
      const made = await Promise.all(nodes.map(async (node) => (await world.evolution.node(node.id)).source));
      expect(replay(measured, policy, 11, 20).sources).toEqual(made);
    },
  );
});

describe("agents over one store", () => {
  it("several processes bring a run to its end with nothing lost, doubled or torn, and the check sees faults", async () => {
    const home = mkdtempSync(join(tmpdir(), "ke-agents-"));
    const store = openStore(home);
    try {
      const evolution = simulatedEvolution(store, 5);
      const given = { problem: "scale", target: "cpu-test", policy_params: { seeds: 0 } };
      const run = await evolution.start({ ...given, budget: { nodes: 60 } });
      const files = [0, 1].map((index) => join(home, `told-${index}.jsonl`));
      const working = files.map((told, index) =>
        startAgents({
          home,
          run: run.id,
          name: `agents-${index}`,
          agents: 4,
          told,
          answer: index === 0 ? "submit" : "insert",
          longest_ms: 5,
          ttl_seconds: 60,
        }),
      );
      for (const { ended } of working) expect(await ended).toEqual({ code: 0, signal: null });
      const told = readTold(files);
      expect(faultsOf(store, run.id, told)).toEqual([]);
      expect(told.filter((one) => one.kind === "node")).toHaveLength(60);
      expect(await evolution.get(run.id)).toMatchObject({ nodes: 60, run: { state: "finished" } });
      await evolution.close();
      const [first] = told.filter((one) => one.kind === "node");
      const lies: Told[] = [
        { kind: "claim", id: "claim_none", parents: [], island: 0, phase: "draft" },
        ...(first === undefined
          ? []
          : [
              { ...first, id: "node_none" },
              { ...first, fitness: -1 },
            ]),
      ];
      expect(faultsOf(store, run.id, lies)).toHaveLength(3);
    } finally {
      store.close();
      rmSync(home, { recursive: true, force: true, maxRetries: 5 });
    }
  }, 240_000);
});
