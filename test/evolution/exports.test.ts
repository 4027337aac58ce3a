import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { importFlashInferTrace } from "../../src/problems/index.ts";
import { context, type Outcome, problem, World } from "./fakes.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const judge = (source: string): Outcome =>
  source.includes("wrong")
    ? { status: "wrong_answer", message: "y[0] is 1" }
    : { ratio: Number(/= ([0-9.]+)/.exec(source)?.[1] ?? 1) };

/** A run to which an agent handed in these sources, one after the other, and its export. */
async function exported(sources: readonly string[]) {
  const world = new World(judge);
  const run = await world.evolution.start({
    problem: "scale",
    target: "cpu-test",
    budget: { nodes: 20 },
    policy: "greedy",
  });
  for (const source of sources) {
    const { claim } = await world.evolution.next(run.id, "agent-1");
    await world.evolution.submit(
      { run: run.id, claim: claim.id, source, rationale: `tried ${source}`, proposer: "agent-1" },
      context,
    );
  }
  const folder = mkdtempSync(join(tmpdir(), "kernelevolve-exports-"));
  folders.push(folder);
  await world.evolution.export(run.id, folder, context);
  const lesson = await world.evolution.lesson(run.id, context);
  await world[Symbol.asyncDispose]();
  return { folder, lesson };
}

const SOURCES = ["a = 1.5;", "b = 3.5;", "wrong = 9;", "c = 2.5; int more;", "d = 6.5; float other;"];
const lines = (file: string): unknown[] =>
  readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line): unknown => JSON.parse(line));

it("training data: chats of the best lineage, clear pairs, groups with rewards", async () => {
  const { folder } = await exported(SOURCES);
  const training = join(folder, "training");
  const sft = lines(join(training, "sft.jsonl"));
  expect(sft.at(-1)).toMatchObject({
    messages: [{ role: "user" }, { role: "assistant", content: "d = 6.5; float other;" }],
    verdict: "passed",
  });
  expect(JSON.stringify(sft[0])).toContain("Output contract");
  const pairs = lines(join(training, "preferences.jsonl"));
  expect(pairs.length).toBeGreaterThan(0);
  // What failed is never chosen, and nothing is preferred to itself.
  for (const pair of pairs) {
    expect(pair).not.toMatchObject({ chosen: "wrong = 9;" });
    expect(pair).toHaveProperty("prompt");
  }
  expect(pairs).toContainEqual(expect.objectContaining({ rejected: "wrong = 9;" }));
  for (const group of lines(join(training, "groups.jsonl")))
    expect(group).toHaveProperty("completions.1.reward");
});

it("FlashInfer-Trace: solution and traces that their readers know", async () => {
  const { folder } = await exported(SOURCES);
  const root = join(folder, "flashinfer-trace");
  const names = readdirSync(root, { recursive: true, encoding: "utf8" }).sort();
  const solutionFile = names.find((name) => name.startsWith("solutions") && name.endsWith(".json")) ?? "";
  const solution: unknown = JSON.parse(readFileSync(join(root, solutionFile), "utf8"));
  expect(solution).toMatchObject({
    definition: "scale",
    spec: { language: "cpp", entry_point: "kernel.c::kernel", target_hardware: ["cpu-test"] },
    sources: [{ path: "kernel.c", content: "d = 6.5; float other;" }],
  });
  const traceFile = names.find((name) => name.endsWith(".jsonl")) ?? "";
  for (const trace of lines(join(root, traceFile)))
    expect(trace).toMatchObject({
      definition: "scale",
      solution: expect.stringContaining("scale_node_"),
      workload: { uuid: expect.any(String), axes: expect.any(Object) },
      evaluation: {
        status: "PASSED",
        performance: { speedup_factor: expect.any(Number), latency_ms: expect.any(Number) },
        correctness: { max_relative_error: "NaN" },
      },
    });
});

it("what a run teaches: the way, the gains, what failed", async () => {
  const { folder, lesson } = await exported(SOURCES);
  const [file] = readdirSync(join(folder, "skills"));
  const text = readFileSync(join(folder, "skills", file ?? ""), "utf8");
  expect(text).toBe(lesson?.text);
  expect(text).toContain("d = 6.5");
  expect(text).toMatch(/## What failed[\s\S]*wrong = 9/);
});

it("a run without a credited kernel exports no proof, no lesson, no solution", async () => {
  const { folder, lesson } = await exported(["wrong = 1;", "wrong = 2; int x;"]);
  expect(lesson).toBeUndefined();
  for (const name of ["flashinfer-trace", "skills", "kernel.c"])
    expect(existsSync(join(folder, name))).toBe(false);
  expect(existsSync(join(folder, "report.html"))).toBe(true);
});

it("an exported definition is read back as the same problem", async () => {
  const { folder } = await exported(SOURCES);
  const root = join(folder, "flashinfer-trace");
  const read = importFlashInferTrace(
    join(root, "definitions", "elementwise", "scale.json"),
    join(root, "traces", "elementwise", "scale.jsonl"),
  );
  expect(read.definition).toMatchObject({
    axes: problem.definition.axes,
    inputs: problem.definition.inputs,
    outputs: problem.definition.outputs,
    reference: problem.definition.reference,
  });
  expect(read.workloads.map((one) => one.uuid)).toEqual(["big", "small"]);
});
