import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { autotuneDriver } from "../../src/agent/autotune/driver.ts";
import { landscape } from "../agent/landscape.ts";
import { context, tunable, World } from "./fakes.ts";

test("git log --graph on the archive shows the search, with what each node is in its trailers", async () => {
  await using world = new World(landscape(), [
    { name: "blocked", source: tunable("blocked"), note: "" },
    { name: "broken", source: tunable("blocked", { tile: 256, unroll: 16 }), note: "" },
  ]);
  const run = await world.evolution.start({
    problem: "scale",
    target: "cpu-test",
    budget: { nodes: 16 },
    policy: "islands",
    policy_params: { drafts: 1, islands: 1, crossover: 0.6 },
  });
  await autotuneDriver({ evolution: world.evolution }).drive(run.id, context);
  // What the driver could not wait for is archived by now too.
  await world.evolution.close();
  const nodes = await world.evolution.nodes(run.id);
  const git = (...args: string[]): string =>
    execFileSync("git", ["--git-dir", join(world.home, "archive.git"), ...args], { encoding: "utf8" });
  const trailer = (name: string): string => `%(trailers:key=${name},valueonly,separator=)`;
  const format = ["Node", "Step", "Operator", "Verdict", "Status", "Fitness"].map(trailer).join(" ");
  const logged = git("log", "--all", `--format=%H|%P|${format}`).trim().split("\n");
  expect(logged.toSorted()).toEqual(
    nodes
      .map((node) => {
        const parents = node.parents.map((id) => nodes.find((one) => one.id === id)?.commit);
        const told = [node.id, node.step, node.operator, node.verdict, node.status, node.fitness.toFixed(6)];
        return `${node.commit}|${parents.join(" ")}|${told.join(" ")}`;
      })
      .toSorted(),
  );
  expect(new Set(nodes.map((node) => node.verdict))).toEqual(new Set(["passed", "rejected"]));
  expect(nodes.some((node) => node.parents.length === 2)).toBe(true);
  // As people see it: a graph, every commit with its message.
  const graph = git("log", "--graph", "--all");
  expect(graph.match(/^[|\\/ ]*\* /gm)).toHaveLength(nodes.length);
  // A merge is drawn to the right or, where its first parent has a line of its own already, to the left.
  expect(graph).toMatch(/\|\\|\/\|/);
  for (const node of nodes) expect(graph).toContain(`Fitness: ${node.fitness.toFixed(6)}`);

  // The report prints what changed along the best lineage.
  const text = await world.evolution.report(run.id, "markdown", context);
  const [, lineage = ""] = text.split("## How the best kernel came about");
  expect(lineage).toMatch(/```diff\n- \/\/ ke:[^\n]+\n\+ \/\/ ke:/);
});
