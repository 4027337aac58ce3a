import { describe, expect, it } from "vitest";
import type { Budget, Usage } from "../../src/domain/run.ts";
import { budgetLeft, stopReason } from "../../src/evolution/termination.ts";
import { context, World } from "./fakes.ts";

const judge = (source: string) => ({ ratio: Number(/return ([0-9.]+)/.exec(source)?.[1] ?? 1) });
const base = { problem: "scale", target: "cpu-test" };
const nothing = { nodes: 0, seconds: 0, device_seconds: 0, since_best: 0, tokens: 0, cost: 0 };

async function hand(world: World, run: string, source: string, usage?: Usage) {
  const { claim } = await world.evolution.next(run, "model");
  const input = { run, claim: claim.id, source, rationale: "r", proposer: "model" };
  return world.evolution.submit({ ...input, ...(usage === undefined ? {} : { usage }) }, context);
}

describe("termination", () => {
  it("follows from each bound alone, exactly when it is reached", () => {
    const ends: [Budget, Partial<typeof nothing>, string][] = [
      [{ nodes: 5 }, { nodes: 5 }, "5 nodes"],
      [{ seconds: 10 }, { seconds: 10 }, "10 s"],
      [{ device_seconds: 10 }, { device_seconds: 10 }, "device time"],
      [{ stall: 3 }, { since_best: 3 }, "stalled"],
      [{ tokens: 1000 }, { tokens: 1000 }, "1000 tokens"],
      [{ cost: 0.5 }, { cost: 0.5 }, "cost 0.5"],
    ];
    for (const [budget, used, reason] of ends) {
      const spent = { ...nothing, ...used };
      expect(stopReason(budget, { spent, best: null })).toContain(reason);
      expect(stopReason(budget, { spent: nothing, best: null })).toBeNull();
      expect(Object.values(budgetLeft(budget, spent))).toEqual([0]);
      expect(Object.values(budgetLeft(budget, nothing))).toEqual(Object.values(budget));
    }
    const best = { fitness: 2, roofline: 0.4 };
    expect(stopReason({ nodes: 9, target_speedup: 2 }, { spent: nothing, best })).toContain("target reached");
    expect(stopReason({ nodes: 9, target_speedup: 2.1 }, { spent: nothing, best })).toBeNull();
    expect(stopReason({ nodes: 9, roofline: 0.4 }, { spent: nothing, best })).toContain("roofline reached");
    expect(stopReason({ nodes: 9, roofline: 0.41 }, { spent: nothing, best })).toBeNull();
  });
});

describe("usage of models", () => {
  it("is recorded with the node, counted once, and ends a run bounded by tokens", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({ ...base, budget: { tokens: 1000 } });
    const usage = { input_tokens: 500, output_tokens: 100, cost: 0.02, model: "some-model" };
    const first = await hand(world, run.id, "return 2.0;", usage);
    expect(first.node.usage).toEqual(usage);
    expect(first.overview).toMatchObject({ spent: { tokens: 600, cost: 0.02 }, left: { tokens: 400 } });
    // The same answer again counts nothing, also after a restart.
    world.reopen();
    const again = { run: run.id, claim: first.node.claim ?? "", source: "return 2.0;", usage };
    await world.evolution.submit({ ...again, rationale: "r", proposer: "model" }, context);
    expect((await world.evolution.get(run.id)).spent.tokens).toBe(600);
    const last = await hand(world, run.id, "return 3.0;", { input_tokens: 400, output_tokens: 0 });
    expect(last).toMatchObject({ finished: true, overview: { left: { tokens: 0 } } });
    expect(last.overview.run.stop_reason).toBe("budget spent: 1000 tokens of 1000");
    expect((await world.evolution.get(run.id, { as_of: 0 })).spent).toMatchObject({
      tokens: 600,
      cost: 0.02,
    });
  });

  it("ends a run bounded by cost, twins and charges without a child included", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({ ...base, budget: { cost: 1 } });
    const usage = { input_tokens: 10, output_tokens: 10, cost: 0.4 };
    await hand(world, run.id, "return 2.0;", usage);
    const twin = await hand(world, run.id, "return 2.0; // again", usage);
    expect(twin).toMatchObject({ duplicate_of: expect.any(String), overview: { spent: { nodes: 1 } } });
    expect(twin.overview.spent.cost).toBeCloseTo(0.8, 12);
    await world.evolution.charge(run.id, "malformed-1", { input_tokens: 1, output_tokens: 0, cost: 0.1 });
    const before = await world.evolution.charge(run.id, "malformed-1", {
      input_tokens: 1,
      output_tokens: 0,
      cost: 0.1,
    });
    expect(before.spent.cost).toBeCloseTo(0.9, 12);
    expect(before.run.state).toBe("open");
    const after = await world.evolution.charge(run.id, "two", {
      input_tokens: 1,
      output_tokens: 0,
      cost: 0.2,
    });
    expect(after.run).toMatchObject({
      state: "finished",
      stop_reason: expect.stringContaining("cost 1.1000 of 1"),
    });
  });

  it("is demanded of agents where the run is bounded by it, and of no tuner", async () => {
    await using world = new World(judge);
    for (const [budget, name] of [
      [{ tokens: 1000 }, "usage:"],
      [{ cost: 5 }, "usage.cost:"],
    ] as const) {
      const run = await world.evolution.start({ ...base, budget });
      const { claim } = await world.evolution.next(run.id, "model");
      const input = {
        run: run.id,
        claim: claim.id,
        source: "return 2.0;",
        rationale: "r",
        proposer: "model",
      };
      await expect(world.evolution.submit(input, context)).rejects.toThrow(name);
      // Nothing is lost: the same claim takes it with the figures, and a tuner needs none.
      const made = await world.evolution.submit({ ...input, operator: "tune" }, context);
      expect(made).toMatchObject({ node: { step: 0 }, overview: { spent: { tokens: 0 } } });
    }
  });

  it("is refused by field when it is none", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({ ...base, budget: { nodes: 9 } });
    const good = { input_tokens: 1, output_tokens: 1 };
    for (const [usage, name] of [
      [{ ...good, input_tokens: -1 }, "usage.input_tokens"],
      [{ ...good, output_tokens: 1.5 }, "usage.output_tokens"],
      [{ ...good, cost: Number.NaN }, "usage.cost"],
      [{ ...good, model: "" }, "usage.model"],
    ] as const) {
      await expect(hand(world, run.id, "return 2.0;", usage)).rejects.toThrow(name);
      await expect(world.evolution.charge(run.id, "k", usage)).rejects.toThrow(name);
    }
    await expect(world.evolution.charge(run.id, "claim_1", good)).rejects.toThrow("key:");
    await expect(world.evolution.charge("run_x", "k", good)).rejects.toThrow("run:");
    expect((await world.evolution.get(run.id)).spent).toMatchObject({ tokens: 0, cost: 0 });
  });
});
