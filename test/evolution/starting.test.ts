import { describe, expect, it, test } from "vitest";
import { DEFAULT_POLICY } from "../../src/domain/run.ts";
import { policies, resolveParameters } from "../../src/evolution/selection/index.ts";
import { newRun } from "../../src/evolution/starting.ts";
import { Targets } from "../../src/targets/index.ts";
import { fakeProblems, World } from "./fakes.ts";

const services = { problems: fakeProblems([]), targets: new Targets() };
const about = { problem: "scale", budget: { nodes: 3 } };

test("language and baseline are the target's first where they are not named", async () => {
  expect(await newRun({ ...about, target: "cpu-x86-64" }, services)).toMatchObject({
    abstraction: "c",
    baseline: "reference",
  });
  for (const [target, abstraction] of [
    ["torch-cpu", "pytorch"],
    ["nvidia-h200", "triton"],
  ] as const)
    expect(await newRun({ ...about, target }, services)).toMatchObject({ abstraction, baseline: "eager" });
  await expect(newRun({ ...about, target: "torch-cpu", abstraction: "c" }, services)).rejects.toThrow(
    "abstraction",
  );
});

describe("start", () => {
  it("checks every argument by name", async () => {
    await using world = new World(() => ({ ratio: 1 }));
    const base = { problem: "scale", target: "cpu-test", budget: { nodes: 5 } };
    const cases: [object, string][] = [
      [{ ...base, problem: "nothing" }, "problem"],
      [{ ...base, target: "nothing" }, "target"],
      [{ ...base, abstraction: "fortran" }, "abstraction"],
      [{ ...base, abstraction: "constructor" }, "abstraction"],
      [{ ...base, baseline: "vendor" }, "baseline"],
      [{ ...base, budget: {} }, "budget"],
      [{ ...base, budget: { target_speedup: 3 } }, "budget"],
      [{ ...base, budget: { nodes: 0 } }, "budget.nodes"],
      [{ ...base, seed: 1.5 }, "seed"],
      [{ ...base, policy_params: { islands: 99 } }, "policy_params.islands"],
    ];
    for (const [input, name] of cases) {
      await expect(world.evolution.start(input as typeof base)).rejects.toThrow(name);
    }
    expect(world.store.graph.runs()).toEqual([]);
  });

  it("answers the same run for the same idempotency key, and stores parameters resolved", async () => {
    await using world = new World(() => ({ ratio: 1 }));
    const input = { problem: "scale", target: "cpu-test", budget: { nodes: 5 }, idempotency_key: "k" };
    const run = await world.evolution.start(input);
    expect((await world.evolution.start(input)).id).toBe(run.id);
    expect(run.baseline).toBe("reference");
    expect(run.policy).toBe(DEFAULT_POLICY);
    expect(run.policy_params).toEqual(resolveParameters(policies[DEFAULT_POLICY], {}));
  });
});
