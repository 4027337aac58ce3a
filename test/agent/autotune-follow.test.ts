import { describe, expect, it } from "vitest";
import { Arms } from "../../src/agent/autotune/arms.ts";
import { autotuneDriver } from "../../src/agent/autotune/driver.ts";
import { follow } from "../../src/agent/autotune/follow.ts";
import { differences, spaceSize } from "../../src/agent/autotune/moves.ts";
import { describe as inWords } from "../../src/agent/autotune/propose.ts";
import { POLICIES } from "../../src/domain/run.ts";
import { randomFrom } from "../../src/evolution/random.ts";
import { context, settingsOf, tunable, World } from "../evolution/fakes.ts";
import { brokenNode, makeNode } from "../evolution/nodes.ts";
import { landscape } from "./landscape.ts";

const draws = Array.from({ length: 60 }, (_, at) => randomFrom("follow", at));
const claimOf = (...parents: string[]) => ({ phase: "expand" as const, parents });

/** Three structures, two configurations of the second, and a kernel that declares nothing. */
function someArms(): Arms {
  const arms = new Arms("c");
  const node = (step: number, fitness: number, source: string): void => {
    arms.add(makeNode(step, { fitness }), source);
  };
  node(0, 1, tunable("naive"));
  node(1, 2, tunable("blocked", { tile: 64, unroll: 4, pad: 3 }));
  node(2, 1.5, tunable("blocked", { tile: 8, unroll: 16, pad: 6, fast: true }));
  node(3, 3, tunable("vectorised"));
  node(4, 9, "void kernel(void) {}");
  return arms;
}

describe("follow", () => {
  it("changes the one parent that the claim names, in at most half of its dimensions, however good others are", () => {
    const arms = someArms();
    for (const random of draws) {
      const proposal = follow(claimOf("n2"), arms, random);
      if (proposal === undefined) throw new Error("nothing proposed");
      const from = proposal.arm.places.get("n2") ?? [];
      expect(proposal.operator).toBe("mutate");
      expect(proposal.parents.map(({ id }) => id)).toEqual(["n2"]);
      expect(differences(proposal.point, from)).toBeGreaterThan(0);
      expect(differences(proposal.point, from)).toBeLessThanOrEqual(2);
    }
  });

  it("crosses the two parents that the claim names: each setting is one of theirs", () => {
    const arms = someArms();
    for (const random of draws) {
      const proposal = follow(claimOf("n1", "n2"), arms, random);
      if (proposal === undefined) throw new Error("nothing proposed");
      const [a = [], b = []] = ["n1", "n2"].map((id) => proposal.arm.places.get(id));
      expect(proposal.operator).toBe("crossover");
      expect(proposal.parents.map(({ id }) => id).toSorted()).toEqual(["n1", "n2"]);
      for (const [index, value] of proposal.point.entries()) expect([a[index], b[index]]).toContain(value);
    }
  });

  it("crosses two structures in the words that they share, and stays in one of them", () => {
    const arms = someArms();
    const proposal = follow(claimOf("n1", "n3"), arms, randomFrom("structures"));
    expect(proposal?.operator).toBe("crossover");
    expect(proposal?.arm.places.has(proposal.parents[0]?.id ?? "")).toBe(true);
  });

  it("draws a draft without feedback: any structure, no parents", () => {
    const arms = someArms();
    const drawn = draws.map((random) => follow({ phase: "draft", parents: [] }, arms, random));
    expect(drawn.every((one) => one?.operator === "tune" && one.parents.length === 0)).toBe(true);
    expect(new Set(drawn.map((one) => one?.arm)).size).toBe(3);
    expect(drawn[0] === undefined ? "" : inWords(drawn[0])).toContain("fresh sample");
  });

  it("repairs a failed parent near it, towards what passes", () => {
    const arms = someArms();
    // Large tiles with much unrolling fail.
    const failing = { tile: 256, unroll: 16 };
    arms.add(brokenNode(5), tunable("blocked", failing));
    arms.add(brokenNode(6), tunable("blocked", { tile: 256, unroll: 8 }));
    arms.add(brokenNode(7), tunable("blocked", { tile: 128, unroll: 16 }));
    let healthy = 0;
    for (const random of draws) {
      const proposal = follow(claimOf("n5"), arms, random);
      if (proposal === undefined) throw new Error("nothing proposed");
      expect(proposal.parents.map(({ id }) => id)).toEqual(["n5"]);
      const [tile = 0, unroll = 0] = proposal.point;
      if (tile + unroll < 8) healthy += 1;
    }
    expect(healthy / draws.length).toBeGreaterThan(0.8);
  });

  it("chooses itself where the parent declares nothing, is unknown, or has nothing untried around it", () => {
    const arms = someArms();
    for (const id of ["n4", "nobody"]) {
      const proposal = follow(claimOf(id), arms, randomFrom(id));
      expect(arms.all).toContain(proposal?.arm);
      expect(proposal?.parents.map((node) => node.id)).not.toContain(id);
    }
    const small = "// ke:tunable TILE int 8 {8,16}\nint tiny;";
    arms.add(makeNode(5, { fitness: 1 }), small);
    arms.add(makeNode(6, { fitness: 1 }), small.replace("int 8", "int 16"));
    const other = follow(claimOf("n5"), arms, randomFrom("small"));
    expect(spaceSize(other?.arm.space.dimensions ?? [])).toBe(480);
  });

  it("has nothing to propose when every structure is tried out", () => {
    const arms = new Arms("c");
    const small = "// ke:tunable TILE int 8 {8,16}\nint tiny;";
    arms.add(makeNode(0, { fitness: 1 }), small);
    arms.add(makeNode(1, { fitness: 1 }), small.replace("int 8", "int 16"));
    expect(follow(claimOf("n0"), arms, randomFrom("none"))).toBeUndefined();
  });
});

describe("driver under the policies", () => {
  const seeds = ["naive", "blocked", "vectorised"].map((kind) => ({
    name: kind,
    source: tunable(kind),
    note: kind,
  }));

  it.each(POLICIES.filter((policy) => policy !== "one-shot"))(
    "%s: children descend as the claims say",
    async (policy) => {
      await using world = new World(landscape(), seeds);
      const run = await world.evolution.start({
        problem: "scale",
        target: "cpu-test",
        policy,
        budget: { nodes: 24 },
        seed: 5,
      });
      await autotuneDriver({ evolution: world.evolution }).drive(run.id, context);
      const nodes = await world.evolution.nodes(run.id, { limit: 100 });
      const made = nodes.filter((node) => node.operator !== "seed");
      expect(made).toHaveLength(21);
      for (const node of made) {
        const claim = world.store.graph.claim(node.claim ?? "");
        // Nothing was tried out around a parent here, so no claim was departed from.
        expect([...node.parents].toSorted()).toEqual(
          node.operator === "mutate" ? claim?.parents.slice(0, 1) : [...(claim?.parents ?? [])].toSorted(),
        );
        expect(node.island).toBe(claim?.island);
      }
      if (policy === "best-of-n") expect(made.every((node) => node.parents.length === 0)).toBe(true);
    },
  );

  it("tunes the leaves of what an agent wrote, node by node in one graph", async () => {
    await using world = new World(landscape(), seeds.slice(0, 1));
    const { evolution } = world;
    const run = await evolution.start({
      problem: "scale",
      target: "cpu-test",
      policy: "greedy",
      policy_params: { drafts: 1 },
      budget: { nodes: 16 },
    });
    const { claim } = await evolution.next(run.id, "agent");
    const source = tunable("vectorised");
    const input = { run: run.id, claim: claim.id, source, rationale: "intrinsics", proposer: "agent" };
    const { node } = await evolution.submit(input, context);
    await autotuneDriver({ evolution }).drive(run.id, context);
    const nodes = await evolution.nodes(run.id, { limit: 100 });
    const line = new Set([node.id]);
    for (const child of nodes) if (child.parents.some((id) => line.has(id))) line.add(child.id);
    line.delete(node.id);
    expect(line.size).toBeGreaterThan(5);
    for (const id of line) {
      const child = await evolution.node(id);
      expect(child.node.proposer).toBe("autotune");
      expect(settingsOf(child.source).kind).toBe("vectorised");
    }
  });
});
