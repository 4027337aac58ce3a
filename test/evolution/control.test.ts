import { describe, expect, it } from "vitest";
import { autotuneDriver } from "../../src/agent/autotune/driver.ts";
import type { Run } from "../../src/domain/run.ts";
import { landscape } from "../agent/landscape.ts";
import { context, type Outcome, tunable, World } from "./fakes.ts";

const seeds = ["naive", "blocked"].map((kind) => ({ name: kind, source: tunable(kind), note: "" }));

/** `return 2.5` measures 2.5; `fail` is wrong. */
function judge(source: string): Outcome {
  if (source.includes("fail")) return { status: "wrong_answer" };
  return { ratio: Number(/return ([0-9.]+)/.exec(source)?.[1] ?? 1) };
}

async function submit(world: World, run: string, source: string): Promise<void> {
  const { claim } = await world.evolution.next(run, "tester");
  await world.evolution.submit(
    { run, claim: claim.id, source, rationale: `try ${source}`, proposer: "tester" },
    context,
  );
}

async function tuned(world: World, budget: Run["budget"]) {
  const run = await world.evolution.start({
    problem: "scale",
    target: "cpu-test",
    budget,
    seed: 7,
    control: "best-of-n",
  });
  const driver = autotuneDriver({ evolution: world.evolution });
  const overview = await driver.drive(run.id, context);
  const calls = world.evaluations.calls.length;
  const control = await world.evolution.control(run.id);
  const held = await driver.drive(control.id, context);
  return { run, overview, control, held, calls };
}

describe("a control", () => {
  it("spends what the run spent, measured alike, on drafts from the same seeds without feedback", async () => {
    await using world = new World(landscape(), seeds);
    const { run, overview, control, held, calls } = await tuned(world, { seconds: 400, nodes: 24 });
    expect(control).toMatchObject({
      policy: "best-of-n",
      control_of: run.id,
      memory: "none",
      prior_kernels: 0,
      seed: 7,
      baseline: run.baseline,
      policy_params: { seeds: 1 },
      budget: { nodes: overview.spent.nodes, device_seconds: overview.spent.device_seconds },
    });
    expect(held.run.state).toBe("finished");
    expect(held.nodes).toBeLessThanOrEqual(overview.nodes);
    // It stops with the evaluation that reaches the bound: no evaluation here takes two seconds of the device.
    expect(held.spent.device_seconds).toBeLessThan(overview.spent.device_seconds + 2);
    const nodes = await world.evolution.nodes(control.id);
    expect(nodes.filter((node) => node.operator === "seed").map((node) => node.rationale)).toEqual([
      "naive",
      "blocked",
    ]);
    const drafts = nodes.filter((node) => node.operator !== "seed");
    expect(drafts.length).toBeGreaterThan(5);
    for (const node of drafts) {
      expect(node).toMatchObject({ operator: "tune", memory: "none", parents: [] });
    }
    // The pace is the run's: 400 s give each child 15 s, and a quarter of that to begin with.
    const lengths = (from: number, to?: number) =>
      new Set(world.evaluations.calls.slice(from, to).map((call) => call.options.benchmark_seconds));
    expect(lengths(0, calls)).toEqual(new Set([15, 3.75]));
    expect(lengths(calls)).toEqual(new Set([15, 3.75]));
  });

  it("is one, after a crash too, and grows with a run that goes on", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({
      problem: "scale",
      target: "cpu-test",
      budget: { nodes: 20, target_speedup: 50, stall: 19 },
    });
    await expect(world.evolution.control(run.id)).rejects.toMatchObject({ code: "conflict" });
    for (const speed of [1.5, 2, 2.5]) await submit(world, run.id, `return ${speed};`);
    const first = await world.evolution.control(run.id);
    // Goals and stalls are no part of what was spent.
    expect(Object.keys(first.budget).sort()).toEqual(["device_seconds", "nodes"]);
    expect(first.budget.nodes).toBe(3);
    for (const speed of [1.1, 1.2, 1.3]) await submit(world, first.id, `return ${speed};`);
    expect((await world.evolution.get(first.id)).run.state).toBe("finished");
    world.reopen();
    expect((await world.evolution.control(run.id)).state).toBe("finished");

    await submit(world, run.id, "return 3;");
    const more = await world.evolution.control(run.id);
    expect(more).toMatchObject({ id: first.id, state: "open", budget: { nodes: 4 } });
    expect(more.stop_reason).toBeUndefined();
    await submit(world, more.id, "return 1.4;");
    expect((await world.evolution.get(more.id)).run.state).toBe("finished");
    expect(world.store.graph.runs()).toHaveLength(2);

    await expect(world.evolution.control(first.id)).rejects.toMatchObject({ code: "invalid_argument" });
    await expect(world.evolution.control("run_nothing")).rejects.toMatchObject({ code: "not_found" });
  });

  it("is charged for what its run had measured, though it is answered from the cache", async () => {
    await using world = new World(judge, seeds);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
    await world.evolution.prepare(run.id, context);
    await submit(world, run.id, "return 2;");
    const spent = (await world.evolution.get(run.id)).spent.device_seconds;
    const control = await world.evolution.control(run.id);
    // From now on every evaluation is one of before, as the cache of the real service answers it.
    world.evaluations.cached = true;
    await world.evolution.prepare(control.id, context);
    await submit(world, control.id, "return 2;");
    const held = await world.evolution.get(control.id);
    expect(held.run.state).toBe("finished");
    expect(held.spent.device_seconds).toBeCloseTo(spent);
    const other = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 2 } });
    expect((await world.evolution.prepare(other.id, context)).spent.device_seconds).toBe(0);
  });

  it("stays ended when it was ended by hand", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
    await submit(world, run.id, "return 2;");
    const control = await world.evolution.control(run.id);
    await world.evolution.stop(control.id, "enough");
    await submit(world, run.id, "return 3;");
    expect(await world.evolution.control(run.id)).toMatchObject({ id: control.id, state: "cancelled" });
  });

  it("tells an agent's drafts nothing of the search, of each other, or of what earlier runs taught", async () => {
    const asked: boolean[] = [];
    await using world = new World(judge, [], async ({ lessons }) => {
      asked.push(lessons);
      return [];
    });
    const run = await world.evolution.start({
      problem: "scale",
      target: "cpu-test",
      budget: { nodes: 9 },
      prior_kernels: 1,
    });
    for (const source of ["return 4.5; // searched", "fail // searched", "return 5; // searched"])
      await submit(world, run.id, source);
    expect(new Set(asked)).toEqual(new Set([true]));
    asked.length = 0;
    const control = await world.evolution.control(run.id);
    await submit(world, control.id, "return 2; // drafted");
    await submit(world, control.id, "fail // drafted");
    const { claim, parents, prompt } = await world.evolution.next(control.id, "tester");
    expect(claim).toMatchObject({ phase: "draft", parents: [], memory: "none", prior: false });
    expect(parents).toEqual([]);
    expect(prompt).toContain("independent draft");
    expect(prompt).not.toMatch(/searched|drafted|Best of the run|not to be tried again/);
    expect(new Set(asked)).toEqual(new Set([false]));
    await expect(world.evolution.next(control.id, "tester", { memory: "both" })).rejects.toMatchObject({
      code: "invalid_argument",
    });
  });
});

describe("the report of a run with a control", () => {
  it("shows both curves and says in one sentence how they compare", async () => {
    await using world = new World(landscape(), seeds);
    const { run, overview, control, held } = await tuned(world, { nodes: 24 });
    const [ours, theirs] = [overview.best?.speedup, held.best?.speedup];
    const page = await world.evolution.report(run.id, "html", context);
    const text = await world.evolution.report(run.id, "markdown", context);
    const shown = (value: number | undefined) => (value ?? 0).toFixed(2);
    for (const said of [
      `Search (${run.policy}): ${shown(ours?.ratio)}× [${shown(ours?.low)}, ${shown(ours?.high)}] over reference after ${overview.nodes} evaluations`,
      `control (best-of-n, no feedback, same seed kernels): ${shown(theirs?.ratio)}× [${shown(theirs?.low)}, ${shown(theirs?.high)}] over reference after ${held.nodes} evaluations`,
    ]) {
      expect(page).toContain(said);
      expect(text).toContain(said);
    }
    const ahead = (ours?.low ?? 0) > (theirs?.high ?? 0);
    expect(text).toContain(ahead ? "the search is ahead" : "overlap");
    // Dashed in the chart over evaluations and in that over device time.
    expect(page.match(/class="control-line" d="M[^"]+"/g)).toHaveLength(2);
    expect(page.match(/class="best-line" d="M[^"]+"/g)).toHaveLength(2);
    expect(text).toContain("| the control's best so far |");
    const last = text.split("\n").find((line) => line.startsWith(`| ${overview.nodes} |`));
    expect(last).toContain(`${shown(theirs?.ratio)}×`);
    expect(last).toContain(`${shown(ours?.ratio)}×`);

    const own = await world.evolution.report(control.id, "html", context);
    expect(own).toContain(`the control of run ${run.id}`);
    expect(own).not.toContain('class="control-line"');
  });

  it("says so where neither found anything", async () => {
    await using world = new World(() => ({ ratio: 1 }));
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 1 } });
    await submit(world, run.id, "int x;");
    const control = await world.evolution.control(run.id);
    await submit(world, control.id, "int y;");
    for (const format of ["html", "markdown"] as const)
      expect(await world.evolution.report(run.id, format, context)).toContain(
        "neither found a credited speedup",
      );
  });

  it("claims no difference where the intervals overlap, and says that a control is not done", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
    for (const source of ["return 3.0;", "fail", "return 2.0;"]) await submit(world, run.id, source);
    const control = await world.evolution.control(run.id);
    const said = async () => await world.evolution.report(run.id, "markdown", context);
    expect(await said()).toContain("only the search found one; the control has not spent its budget of 3");
    await submit(world, control.id, "return 2.99;");
    expect(await said()).toContain("the intervals overlap, so this pair shows no difference");
    await submit(world, control.id, "return 3.5;");
    expect(await said()).toContain("the control is ahead");
  });
});
