import { afterEach, describe, expect, it } from "vitest";
import { modelDriver } from "../../../src/agent/model/driver.ts";
import { type ModelChoice, modelSettings } from "../../../src/agent/model/settings.ts";
import type { ProgressUpdate } from "../../../src/domain/job.ts";
import type { Budget } from "../../../src/domain/run.ts";
import type { RunOverview } from "../../../src/domain/services.ts";
import { World } from "../../evolution/fakes.ts";
import { type Asked, COUNT, Endpoint, said, type Turn } from "./endpoint.ts";

const KEY = "sk-secret-of-the-test";
const opened: { close(): Promise<void> | void }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

/** A kernel that no other test answer is a copy of. */
const kernel = (n: number): string =>
  `void kernel(const float *x, float *y, int64_t N) { for (int64_t i = 0; i < N; i++) y[i] = x[i] * 2.0f + ${n}.0f - ${n}.0f; /* ${"+".repeat(n)} */ ${"y[0] = y[0]; ".repeat(n)}}`;
const good = (n: number): Turn => ({
  text: `Rationale: version ${n} has fewer loads\n\n\`\`\`c\n${kernel(n)}\n\`\`\`\nDeferred: try ${n} threads\n`,
});

interface Setting {
  readonly world: World;
  readonly endpoint: Endpoint;
  readonly run: string;
  readonly updates: ProgressUpdate[];
  readonly drive: (more?: ModelChoice, signal?: AbortSignal) => Promise<RunOverview>;
}

async function setting(
  script: (asked: Asked, n: number) => Turn,
  budget: Budget = { nodes: 2 },
): Promise<Setting> {
  let ratio = 1;
  const world = new World(() => {
    ratio += 0.5;
    return { ratio };
  });
  const endpoint = await new Endpoint(script).open();
  opened.push({ close: () => world[Symbol.asyncDispose]() }, endpoint);
  const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget, policy: "greedy" });
  const updates: ProgressUpdate[] = [];
  const env = { OPENAI_API_KEY: KEY, OPENAI_BASE_URL: endpoint.url };
  return {
    world,
    endpoint,
    run: run.id,
    updates,
    drive: (more = {}, signal = new AbortController().signal) =>
      modelDriver({
        evolution: world.evolution,
        artifacts: world.store.artifacts,
        settings: () =>
          modelSettings(
            { models: ["scripted"], toolCalls: 0, backoffMs: 1, requestSeconds: 20, ...more },
            env,
          ),
        env,
      }).drive(run.id, { signal, report: (update) => updates.push(update) }),
  };
}

describe("a run driven by a scripted endpoint", () => {
  it("ends with its budget; every child has its usage, its transcript and its idea", async () => {
    const { world, endpoint, run, drive, updates } = await setting((_, n) => good(n + 1));
    const overview = await drive();
    expect(overview.run.state).toBe("finished");
    expect(overview).toMatchObject({ nodes: 2, open_claims: 0, spent: { tokens: 2400 } });
    const nodes = await world.evolution.nodes(run);
    expect(nodes.map((node) => node.rationale)).toEqual([1, 2].map((n) => `version ${n} has fewer loads`));
    expect(nodes[0]).toMatchObject({
      proposer: "model-1 (scripted)",
      usage: { input_tokens: COUNT.prompt_tokens, output_tokens: COUNT.completion_tokens, model: "scripted" },
      deferred: ["try 1 threads"],
    });
    const transcript = await world.store.artifacts.read(nodes[0]?.transcript ?? "", {
      offset: 0,
      limit: 60_000,
    });
    expect(JSON.parse(transcript.text)).toMatchObject({
      model: "scripted",
      tokensEstimated: false,
      messages: [{ role: "human" }, { role: "ai" }],
    });
    // The first turn is the run's own prompt; the system message tells how to hand in.
    expect(said(endpoint.asked[0], 0)).toContain("You write compute kernels");
    expect(said(endpoint.asked[0], 1)).toBe(await world.evolution.prompt(nodes[0]?.claim ?? ""));
    expect(endpoint.keys[0]).toBe(`Bearer ${KEY}`);
    expect(updates.at(-1)).toMatchObject({ progress: 1, total: 1 });
    expect(updates.at(-1)?.message).toContain("2 evaluations · best 2.00×");
  });

  it("shares the claims among proposers: none twice, none lost", async () => {
    const { world, run, drive } = await setting((_, n) => good(n + 1), { nodes: 9 });
    const overview = await drive({ proposers: 3 });
    const nodes = await world.evolution.nodes(run);
    expect(overview).toMatchObject({ nodes: 9, open_claims: 0 });
    expect(new Set(nodes.map((node) => node.claim)).size).toBe(9);
  });

  it("keeps the key out of transcripts, wherever a model repeats it", async () => {
    const { world, run, drive } = await setting(() => ({ text: `Rationale: ${KEY}\n${good(1).text}` }), {
      nodes: 1,
    });
    await drive();
    const [node] = await world.evolution.nodes(run);
    const { text } = await world.store.artifacts.read(node?.transcript ?? "", { offset: 0, limit: 60_000 });
    expect(text).toContain("[key]");
    expect(text).not.toContain(KEY);
  });

  it("stops when the bound on cost is reached, by the price table", async () => {
    const { run, world, drive } = await setting((_, n) => good(n + 1), { cost: 0.0049 });
    await expect(drive()).rejects.toThrow(/scripted has no price/);
    expect((await world.evolution.get(run)).nodes).toBe(0);
    const { writeFileSync } = await import("node:fs");
    const file = `${world.home}/prices.yaml`;
    writeFileSync(file, "models: { scripted: { input: 1, cached_input: 0.5, output: 5 } }\n");
    // 600 at 1, 400 at 0.5 and 200 at 5 a million are 0.0018: two are below the bound, three are not.
    const overview = await drive({ pricesFile: file });
    expect(overview.nodes).toBe(3);
    expect(overview.spent.cost).toBeCloseTo(0.0054, 6);
  });

  it("counts by characters where the endpoint counts nothing, and says so", async () => {
    const { world, run, drive } = await setting(() => ({ ...good(1), uncounted: true }), { tokens: 100 });
    const overview = await drive();
    expect(overview.spent.tokens).toBeGreaterThan(100);
    const [node] = await world.evolution.nodes(run);
    const { text } = await world.store.artifacts.read(node?.transcript ?? "", { offset: 0, limit: 60_000 });
    expect(JSON.parse(text)).toMatchObject({ tokensEstimated: true });
  });
});

describe("malformed answers", () => {
  it("are sent back with what is wrong, and what they used counts", async () => {
    const replies = [{ text: "Use a faster loop." }, { text: "```c\nint x;" }, good(1)];
    const { world, run, endpoint, drive } = await setting((_, n) => replies[n] ?? good(9), { nodes: 1 });
    await drive();
    expect(said(endpoint.asked[1], -1)).toContain("no fenced code block");
    expect(said(endpoint.asked[2], -1)).toContain("does not close it");
    const [node] = await world.evolution.nodes(run);
    expect(node?.usage?.output_tokens).toBe(3 * COUNT.completion_tokens);
  });

  it("that go on give the claim back, are charged, and end the drive with the run open", async () => {
    let broken = true;
    const { world, run, drive } = await setting((_, n) => (broken ? { text: "I cannot." } : good(n)), {
      nodes: 1,
    });
    await expect(drive()).rejects.toThrow(/6 claims in a row led to no kernel/);
    const before = await world.evolution.get(run);
    expect(before).toMatchObject({ nodes: 0, open_claims: 0, run: { state: "open" } });
    expect(before.spent.tokens).toBe(6 * 3 * 1200);
    broken = false;
    expect((await drive()).nodes).toBe(1);
  });

  it("in another language are refused with the run's, and repaired", async () => {
    const python = { text: "Rationale: p\n```python\nimport torch\ndef run(x):\n    return 2 * x\n```" };
    const { endpoint, drive } = await setting((_, n) => (n === 0 ? python : good(1)), { nodes: 1 });
    expect((await drive()).nodes).toBe(1);
    expect(said(endpoint.asked[1], -1)).toContain("reads as Python");
  });

  it("that end at the limit of tokens are told so", async () => {
    const { endpoint, drive } = await setting(
      (_, n) => (n === 0 ? { text: "```c\nint", finish: "length" } : good(1)),
      { nodes: 1 },
    );
    await drive({ maxTokens: 512 });
    expect(said(endpoint.asked[1], -1)).toContain("limit of 512 tokens");
  });
});

describe("an endpoint that fails", () => {
  const passing: [string, Turn][] = [
    ["a rate limit with its wait", { status: 429, headers: { "retry-after": "0" } }],
    ["a server error", { status: 503 }],
    ["a stream that breaks", { ...good(7), cut: "broken" }],
    ["a stream that ends early", { ...good(7), cut: "quiet" }],
  ];
  it.each(passing)("in passing is asked again: %s", async (_, turn) => {
    const { world, endpoint, run, drive } = await setting((__, n) => (n < 2 ? turn : good(1)), { nodes: 1 });
    expect((await drive()).nodes).toBe(1);
    expect(endpoint.asked).toHaveLength(3);
    const [node] = await world.evolution.nodes(run);
    const { text } = await world.store.artifacts.read(node?.transcript ?? "", { offset: 0, limit: 60_000 });
    expect(JSON.parse(text)).toMatchObject({ waits: [expect.any(String), expect.any(String)] });
  });

  it("to answer in time is asked again", async () => {
    const { endpoint, drive } = await setting((_, n) => (n === 0 ? { stall: true } : good(1)), { nodes: 1 });
    expect((await drive({ requestSeconds: 1 })).nodes).toBe(1);
    expect(endpoint.asked).toHaveLength(2);
  });

  it("for as long as it is asked ends the drive; the run is gone on with", async () => {
    let down = true;
    const { world, run, endpoint, drive } = await setting((_, n) => (down ? { status: 500 } : good(n)), {
      nodes: 1,
    });
    await expect(drive({ retries: 1 })).rejects.toThrow(/no model can be asked.*500.*\(2 times\)/);
    expect(endpoint.asked).toHaveLength(2);
    expect(await world.evolution.get(run)).toMatchObject({
      nodes: 0,
      open_claims: 0,
      run: { state: "open" },
    });
    down = false;
    expect((await drive()).nodes).toBe(1);
  });

  it("for good ends the drive at once, and costs no claim", async () => {
    const { world, endpoint, run, drive } = await setting(() => ({ status: 401, text: "no such key" }));
    await expect(drive()).rejects.toMatchObject({
      code: "infrastructure",
      message: expect.stringContaining("401"),
    });
    expect(endpoint.asked).toHaveLength(1);
    expect(await world.evolution.get(run)).toMatchObject({ nodes: 0, open_claims: 0, spent: { tokens: 0 } });
  });

  it("for one model of an ensemble leaves the others", async () => {
    const { world, run, updates, drive } = await setting(
      ({ model }, n) => (model === "gone" ? { status: 404, text: "no such model" } : good(n)),
      { nodes: 3 },
    );
    expect((await drive({ models: ["gone", "here"] })).nodes).toBe(3);
    const nodes = await world.evolution.nodes(run);
    expect(new Set(nodes.map((node) => node.usage?.model))).toEqual(new Set(["here"]));
    expect(updates.some(({ message }) => message?.includes("gone: 404"))).toBe(true);
  });

  it("to come back when the drive is stopped leaves a run that goes on", async () => {
    let hang = true;
    const { world, run, endpoint, drive } = await setting((_, n) =>
      hang && n === 1 ? { stall: true } : good(n + 1),
    );
    const stop = new AbortController();
    const driven = drive({}, stop.signal);
    driven.catch(() => undefined);
    while (endpoint.asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    stop.abort(new Error("stopped by the test"));
    await expect(driven).rejects.toThrow("stopped by the test");
    expect(await world.evolution.get(run)).toMatchObject({ nodes: 1, open_claims: 0 });
    hang = false;
    expect((await drive()).nodes).toBe(2);
  });

  it("to answer before the time of the run ends does not hold it up", async () => {
    const { drive } = await setting(() => ({ stall: true }), { seconds: 1.5 });
    const overview = await drive();
    expect(overview).toMatchObject({ nodes: 0, open_claims: 0, run: { state: "finished" } });
  });
});
