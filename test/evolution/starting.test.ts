import { expect, test } from "vitest";
import { newRun } from "../../src/evolution/starting.ts";
import { Targets } from "../../src/targets/index.ts";
import { fakeProblems } from "./fakes.ts";

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
