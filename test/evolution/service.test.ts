import { describe, expect, it } from "vitest";
import type { Node } from "../../src/domain/run.ts";
import type { SubmitInput } from "../../src/domain/services.ts";
import { sha256 } from "../../src/platform/hash.ts";
import { context, type Outcome, World } from "./fakes.ts";

/** `return 2.5` measures 2.5; `fail wrong_answer` fails so. */
function judge(source: string): Outcome {
  const failure = /fail (compile_error|wrong_answer|infrastructure_error|runtime_error)/.exec(source)?.[1];
  if (failure === "compile_error") return { status: failure, diagnostics: "kernel.c:3: error: expected ';'" };
  if (failure === "wrong_answer" || failure === "infrastructure_error" || failure === "runtime_error")
    return { status: failure };
  return { ratio: Number(/return ([0-9.]+)/.exec(source)?.[1] ?? 1) };
}

const seeds = [
  { name: "naive", source: "return 1.0;", note: "plain loop" },
  { name: "blocked", source: "return 2.0;", note: "blocked" },
];

async function submit(world: World, run: string, source: string, more: Partial<SubmitInput> = {}) {
  const { claim } = await world.evolution.next(run, "tester");
  return world.evolution.submit(
    { run, claim: claim.id, source, rationale: `try ${source}`, proposer: "tester", ...more },
    context,
  );
}

describe("time travel", () => {
  it("answers a run as it stood at every step", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
    const sources = ["return 2.0;", "fail wrong_answer", "return 4.0;", "return 3.0;"];
    const ids: string[] = [];
    for (const source of sources) ids.push((await submit(world, run.id, source)).node.id);
    const at = async (step: number) => await world.evolution.get(run.id, { as_of: step });
    expect((await at(0)).best?.id).toBe(ids[0]);
    expect((await at(1)).best?.id).toBe(ids[0]);
    expect((await at(2)).best?.id).toBe(ids[2]);
    expect(await at(1)).toMatchObject({
      nodes: 2,
      passed: 1,
      spent: { nodes: 2, since_best: 1 },
      left: { nodes: 7 },
    });
    // Later than the last step is now.
    expect((await at(99)).nodes).toBe((await world.evolution.get(run.id)).nodes);
    const nodes = await world.evolution.nodes(run.id, { up_to_step: 2, order: "fitness" });
    expect(nodes.map((node) => node.id)).toEqual([ids[2], ids[0], ids[1]]);
  });
});

describe("draft phase", () => {
  it("evaluates each seed once, also when eight proposers ask at the same time", async () => {
    await using world = new World(judge, seeds);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 20 } });
    expect((await world.evolution.get(run.id)).seeds_left).toBe(2);
    const expansions = await Promise.all(
      Array.from({ length: 8 }, (_, index) => world.evolution.next(run.id, `agent ${index}`)),
    );
    expect(world.evaluations.calls).toHaveLength(2);
    const nodes = await world.evolution.nodes(run.id);
    expect(nodes.map((node) => [node.step, node.operator, node.fitness])).toEqual([
      [0, "seed", 0],
      [1, "seed", 2],
    ]);
    expect(nodes[0]?.rationale).toBe("naive: plain loop");
    expect(new Set(expansions.map((expansion) => expansion.claim.id)).size).toBe(8);
    expect(await world.evolution.get(run.id)).toMatchObject({ seeds_left: 0, open_claims: 8 });
    // Seeds are profiled: their diagnosis is what the first prompts work from.
    expect(world.evaluations.calls[0]?.options.stages).toContain("profile");
  });

  it("goes on where a cancelled caller stopped", async () => {
    await using world = new World(judge, seeds);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 20 } });
    const controller = new AbortController();
    let started = (): void => undefined;
    const running = new Promise<void>((resolve) => {
      started = resolve;
    });
    world.evaluations.gate = (work) =>
      new Promise((resolve, reject) => {
        work.signal.addEventListener("abort", () => reject(new Error("aborted")));
        if (world.evaluations.calls.length > 1) resolve();
        started();
      });
    const first = world.evolution.prepare(run.id, { ...context, signal: controller.signal });
    const second = world.evolution.prepare(run.id, context);
    await running;
    controller.abort();
    await expect(first).rejects.toThrow("aborted");
    expect((await second).nodes).toBe(2);
  });

  it("takes no seeds when told so", async () => {
    await using world = new World(judge, seeds);
    const run = await world.evolution.start({
      problem: "scale",
      target: "cpu-test",
      budget: { nodes: 5 },
      policy: "greedy",
      policy_params: { seeds: 0 },
    });
    expect((await world.evolution.next(run.id, "a")).claim.phase).toBe("draft");
    expect(world.evaluations.calls).toHaveLength(0);
  });

  it("counts seeds within the budget of nodes", async () => {
    await using world = new World(judge, seeds);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 1 } });
    const overview = await world.evolution.prepare(run.id, context);
    expect(overview).toMatchObject({
      nodes: 1,
      run: { state: "finished", stop_reason: "budget spent: 1 node" },
    });
    await expect(world.evolution.next(run.id, "a")).rejects.toMatchObject({ code: "budget_spent" });
  });

  it("a caller who waited for another's seeds measures none of a run that they ended", async () => {
    await using world = new World(judge, seeds);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 1 } });
    const both = await Promise.all([
      world.evolution.prepare(run.id, context),
      world.evolution.prepare(run.id, context),
    ]);
    expect(both.map((overview) => overview.run.state)).toEqual(["finished", "finished"]);
    expect(world.evaluations.calls).toHaveLength(1);
  });
});

describe("submit", () => {
  it("records node, speedup, parents and commit, and says what is left", async () => {
    await using world = new World(judge, seeds);
    const run = await world.evolution.start({
      problem: "scale",
      target: "cpu-test",
      budget: { nodes: 4 },
      policy: "greedy",
      policy_params: { drafts: 1 },
    });
    const { claim, parents, prompt } = await world.evolution.next(run.id, "tester");
    expect(parents.map(({ source }) => source)).toEqual(["return 2.0;"]);
    expect(world.store.graph.prompt(claim.id)).toBe(prompt);
    const result = await world.evolution.submit(
      { run: run.id, claim: claim.id, source: "return 3.0;", rationale: "faster", proposer: "tester" },
      context,
    );
    expect(result.node).toMatchObject({
      step: 2,
      parents: claim.parents,
      fitness: 3,
      operator: "agent",
      claim: claim.id,
    });
    expect(result.node.commit).toMatch(/^[0-9a-f]{40}/);
    expect(result.overview).toMatchObject({
      left: { nodes: 1 },
      spent: { nodes: 3, since_best: 0 },
      best: { fitness: 3 },
    });
    expect(result.finished).toBe(false);
    expect(result.duplicate_of).toBeUndefined();
  });

  it("is idempotent by claim and source, at once and later, and refuses another source", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
    const { claim } = await world.evolution.next(run.id, "tester");
    const input = { run: run.id, claim: claim.id, source: "return 2.0;", rationale: "r", proposer: "p" };
    const [first, joined] = await Promise.all([
      world.evolution.submit(input, context),
      world.evolution.submit(input, context),
    ]);
    expect(joined.node.id).toBe(first.node.id);
    const again = await world.evolution.submit(input, context);
    expect(again.node.id).toBe(first.node.id);
    expect(again.duplicate_of).toBeUndefined();
    expect(world.evaluations.calls).toHaveLength(1);
    await expect(world.evolution.submit({ ...input, source: "return 3.0;" }, context)).rejects.toMatchObject({
      code: "conflict",
    });
    world.reopen();
    expect((await world.evolution.submit(input, context)).node.id).toBe(first.node.id);
    expect(world.evaluations.calls).toHaveLength(1);
  });

  it("answers a near-duplicate with its twin and its result, at no cost", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
    const first = await submit(world, run.id, "return 2.0; // fast");
    const second = await submit(world, run.id, "/* slow? */ return    2.0;");
    expect(second).toMatchObject({
      duplicate_of: first.node.id,
      node: { id: first.node.id },
      record: { id: first.record.id },
    });
    expect(second.overview).toMatchObject({ nodes: 1, open_claims: 0 });
    expect(world.evaluations.calls).toHaveLength(1);
  });

  it("does not take an infrastructure failure for a twin", async () => {
    let broken = true;
    await using world = new World((source) => (broken ? { status: "infrastructure_error" } : judge(source)));
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
    await submit(world, run.id, "return 2.0;");
    broken = false;
    expect((await submit(world, run.id, "return 2.0;")).node.fitness).toBe(2);
    expect(await submit(world, run.id, "return 2.0; ")).toMatchObject({
      node: { fitness: 2 },
      duplicate_of: expect.any(String),
    });
  });

  it("refuses bad input by name and keeps the claim", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
    const other = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
    const { claim } = await world.evolution.next(run.id, "t");
    const stranger = await submit(world, other.id, "return 2.0;");
    const good = { run: run.id, claim: claim.id, source: "return 2.0;", rationale: "r", proposer: "p" };
    const cases: [Partial<SubmitInput>, string][] = [
      [{ run: "run_x" }, "run:"],
      [{ claim: "claim_x" }, "claim:"],
      [{ run: other.id }, "claim:"],
      [{ source: "" }, "source:"],
      [{ source: " \n" }, "source:"],
      [{ source: "a\0b" }, "source:"],
      [{ source: "x".repeat(5_000_000) }, "source:"],
      [{ rationale: "r".repeat(2001) }, "rationale:"],
      [{ parents: ["node_x"] }, "parents:"],
      [{ parents: [stranger.node.id] }, "parents:"],
      [{ tunables: { TILE: "8" } }, "tunables.TILE"],
    ];
    for (const [change, name] of cases)
      await expect(world.evolution.submit({ ...good, ...change }, context)).rejects.toThrow(name);
    expect((await world.evolution.submit(good, context)).node.step).toBe(0);
  });

  it("records crossover parents in order, given or from the claim", async () => {
    await using world = new World(judge, seeds);
    const asked = { problem: "scale", target: "cpu-test", policy: "islands", budget: { nodes: 9 } } as const;
    const run = await world.evolution.start(asked);
    await world.evolution.prepare(run.id, context);
    const [a, b] = await world.evolution.nodes(run.id);
    const parents = [b?.id ?? "", a?.id ?? ""];
    const { node } = await submit(world, run.id, "return 4.0;", { parents, operator: "crossover" });
    // A tuner fills the island that the policy serves, an agent that chose parents works where they are.
    const claim = world.store.graph.claim(node.claim ?? "");
    expect(node).toMatchObject({ parents, operator: "crossover", island: claim?.island });
    expect(claim?.island).not.toBe(b?.island);
    const other = await submit(world, run.id, "return 5.0;", { parents, operator: "agent" });
    expect(other.node).toMatchObject({ parents, island: b?.island });
    const { ancestors } = await world.evolution.node(node.id);
    expect(ancestors.map((ancestor) => ancestor.id).sort()).toEqual([...parents].sort());
  });

  it("writes tunables into the header before it stores the source", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
    const source = "// ke:tunable TILE int 8 {8,16}\nreturn 2.0;";
    const { node } = await submit(world, run.id, source, { tunables: { TILE: "16" } });
    expect((await world.evolution.node(node.id)).source).toContain("TILE int 16");
  });

  it("screens: the full length is spent on contenders only", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
    const lengths = { benchmark_seconds: 8, screen_seconds: 2 };
    await submit(world, run.id, "return 3.0;", lengths);
    await submit(world, run.id, "return 2.0;", lengths);
    const best = await submit(world, run.id, "return 3.01;", lengths);
    // A contender by less than is certain is measured once more.
    expect(world.evaluations.calls.map((call) => call.options.benchmark_seconds)).toEqual([8, 2, 2, 8, 8]);
    // Three measurements of a second, each verified for a tenth before.
    expect(best.node.device_seconds).toBeCloseTo(3.3);
  });

  it("takes the second figure where the first makes a node the best by less than is certain", async () => {
    const figures = [3, 3.05, 2.9, 3.2, 3.02, 3.04];
    await using world = new World(() => ({ ratio: figures.shift() ?? 0 }));
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
    const fitness: number[] = [];
    // Measured once; twice, the second time slower; once, being far above; twice again, and the best at last.
    for (const name of ["1", "2", "4"])
      fitness.push((await submit(world, run.id, `return ${name};`)).node.fitness);
    expect(fitness).toEqual([3, 2.9, 3.2]);
    expect((await world.evolution.get(run.id)).best?.fitness).toBe(3.2);
    expect(world.evaluations.calls.map((call) => call.options.use_cache)).toEqual([
      undefined,
      undefined,
      false,
      undefined,
    ]);
    expect((await submit(world, run.id, "return 8;")).node.fitness).toBe(3.02);
  });
});

describe("claims", () => {
  it("expire, their place goes back, and a late child is told what to do", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 1 } });
    const { claim } = await world.evolution.next(run.id, "slow");
    await expect(world.evolution.next(run.id, "other")).rejects.toMatchObject({ code: "conflict" });
    world.store.graph.releaseClaim(claim.id);
    const second = await world.evolution.next(run.id, "other");
    const late = { run: run.id, claim: claim.id, source: "return 2.0;", rationale: "r", proposer: "slow" };
    await expect(world.evolution.submit(late, context)).rejects.toMatchObject({ code: "expired" });
    expect((await world.evolution.submit({ ...late, claim: second.claim.id }, context)).finished).toBe(true);
  });

  it("do not expire while their child is evaluated", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 1 } });
    const { claim } = await world.evolution.next(run.id, "slow", { ttl_seconds: 10 });
    let open = -1;
    world.evaluations.gate = async () => {
      open = world.store.graph.countOpenClaims(run.id, Date.parse(claim.expires_at) + 5_000);
    };
    await world.evolution.submit(
      { run: run.id, claim: claim.id, source: "return 2.0;", rationale: "r", proposer: "p" },
      context,
    );
    expect(open).toBe(1);
  });

  it("have bounds on their life", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
    for (const ttl of [0, -1, Number.NaN, 1e9]) {
      await expect(world.evolution.next(run.id, "a", { ttl_seconds: ttl })).rejects.toThrow("ttl_seconds");
    }
  });
});

describe("budget", () => {
  it("is kept exactly by 16 proposers who all ask at once, until it is spent", async () => {
    await using world = new World(judge, seeds);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 30 } });
    let made = 0;
    const proposer = async (name: string): Promise<void> => {
      for (;;) {
        try {
          const { claim } = await world.evolution.next(run.id, name, { token_budget: 0 });
          made += 1;
          const source = `return ${1 + made / 100}; int ${name}_${made};`;
          await world.evolution.submit(
            { run: run.id, claim: claim.id, source, rationale: "r", proposer: name },
            context,
          );
        } catch (error) {
          if (error instanceof Error && "code" in error && error.code === "budget_spent") return;
          if (!(error instanceof Error && "code" in error && error.code === "conflict")) throw error;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, index) => proposer(`p${index}`)));
    const overview = await world.evolution.get(run.id);
    expect(overview).toMatchObject({
      nodes: 30,
      run: { state: "finished" },
      open_claims: 0,
      left: { nodes: 0 },
    });
    const steps = (await world.evolution.nodes(run.id)).map((node) => node.step);
    expect(steps).toEqual(Array.from({ length: 30 }, (_, step) => step));
  });

  it("ends on target, roofline, stall and device seconds, and says why", async () => {
    const ends: [object, string[], string][] = [
      [{ nodes: 99, target_speedup: 2.5 }, ["return 2.0;", "return 2.6;"], "target reached"],
      [{ nodes: 99, roofline: 0.25 }, ["return 2.0;", "return 2.6;"], "roofline reached"],
      [{ stall: 2 }, ["return 2.0;", "return 1.9;", "return 1.8;"], "stalled"],
      [{ device_seconds: 1.5 }, ["return 2.0;", "return 1.9;"], "device time"],
      [{ nodes: 2 }, ["return 2.0;", "return 1.9;"], "2 nodes"],
    ];
    for (const [budget, sources, reason] of ends) {
      await using world = new World(judge);
      const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget });
      for (const [index, source] of sources.entries()) {
        const { finished } = await submit(world, run.id, source);
        expect(finished).toBe(index === sources.length - 1);
      }
      const { run: ended } = await world.evolution.get(run.id);
      expect(ended).toMatchObject({ state: "finished", stop_reason: expect.stringContaining(reason) });
    }
  });

  it("ends by hand, and keeps the nodes", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
    await submit(world, run.id, "return 2.0;");
    const { claim } = await world.evolution.next(run.id, "late");
    expect(await world.evolution.stop(run.id, "enough")).toMatchObject({
      nodes: 1,
      run: { state: "cancelled", stop_reason: "enough" },
    });
    const late = { run: run.id, claim: claim.id, source: "return 3.0;", rationale: "r", proposer: "late" };
    await expect(world.evolution.submit(late, context)).rejects.toMatchObject({ code: "budget_spent" });
  });
});

describe("time", () => {
  it("counts what lies between beats, not the time in which nobody lived", async () => {
    await using world = new World(judge);
    const { graph } = world.store;
    const run = await world.evolution.start({
      problem: "scale",
      target: "cpu-test",
      budget: { seconds: 100 },
    });
    const beats = [1_000_000, 1_001_000, 1_005_000, 9_000_000, 9_000_500, 9_000_500];
    for (const now of beats) graph.beat(run.id, now, 5000);
    // 1 s + 4 s, a gap, 0.5 s, and a second process at the same moment.
    expect(graph.activeSeconds(run.id)).toBeCloseTo(5.5, 6);
    graph.beat(run.id, 8_999_000, 5000);
    expect(graph.activeSeconds(run.id)).toBeCloseTo(5.5, 6);
  });

  it("spends seconds while a claim is open, and ends the run by them", async () => {
    await using world = new World(judge);
    const run = await world.evolution.start({
      problem: "scale",
      target: "cpu-test",
      budget: { seconds: 0.05 },
    });
    const { claim } = await world.evolution.next(run.id, "a");
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect((await world.evolution.get(run.id)).run).toMatchObject({
      state: "finished",
      stop_reason: expect.stringContaining("s of 0.05 s"),
    });
    const input = { run: run.id, claim: claim.id, source: "return 2.0;", rationale: "r", proposer: "a" };
    await expect(world.evolution.submit(input, context)).rejects.toMatchObject({ code: "budget_spent" });
  });
});

describe("resume", () => {
  it("goes on by id after a crash: same nodes, same choices as an undisturbed run, archive caught up", async () => {
    const steps = async (world: World, run: string, from: number, to: number): Promise<void> => {
      for (let at = from; at < to; at += 1)
        await submit(world, run, `return ${1.1 + ((at * 7) % 10) / 10}; int v = ${at};`);
    };
    const start = { problem: "scale", target: "cpu-test", budget: { nodes: 30 }, seed: 5 };
    const shape = (nodes: Node[]): unknown => {
      const step = new Map(nodes.map((node) => [node.id, node.step]));
      return nodes.map((node) => [
        node.step,
        node.island,
        node.parents.map((id) => step.get(id)),
        node.fitness,
      ]);
    };
    await using calm = new World(judge, seeds);
    const undisturbed = await calm.evolution.start(start);
    await steps(calm, undisturbed.id, 0, 20);

    await using world = new World(judge, seeds);
    const run = await world.evolution.start(start);
    await steps(world, run.id, 0, 11);
    world.reopen();
    expect((await world.evolution.get(run.id)).nodes).toBe(13);
    await steps(world, run.id, 11, 20);
    expect(shape(await world.evolution.nodes(run.id))).toEqual(
      shape(await calm.evolution.nodes(undisturbed.id)),
    );
    expect(world.store.graph.unarchived(run.id)).toEqual([]);
  });

  it("archives what a crash kept out, with the parents' commits as parents", async () => {
    await using world = new World(judge, seeds);
    const run = await world.evolution.start({
      problem: "scale",
      target: "cpu-test",
      budget: { nodes: 30 },
      policy: "greedy",
    });
    await submit(world, run.id, "return 2.5;");
    const [seed] = await world.evolution.nodes(run.id);
    // As if the process died between the store and the archive.
    world.store.graph.insertNode({
      node: {
        ...(seed as Node),
        id: "node_orphan",
        parents: [seed?.id ?? ""],
        candidate: sha256("return 2.1;"),
      },
      source: "return 2.1;",
      dedup: "orphan",
    });
    world.reopen();
    await submit(world, run.id, "return 2.6;");
    expect(world.store.graph.node("node_orphan")?.commit).toMatch(/^[0-9a-f]{40}/);
    expect(world.store.graph.unarchived(run.id)).toEqual([]);
  });
});
