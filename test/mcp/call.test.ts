import { expect, test, vi } from "vitest";
import { z } from "zod";
import { KernelEvolveError, type WorkContext } from "../../src/domain/index.ts";
import { checkArguments } from "../../src/mcp/arguments.ts";
import { defineTool, type Tool } from "../../src/mcp/define.ts";
import { handleOf, jobResult } from "../../src/mcp/jobs.ts";
import { type ProgressParams, ProgressReporter } from "../../src/mcp/progress.ts";
import { cutToSize, MAX_ANSWER_BYTES } from "../../src/mcp/response.ts";
import { tools } from "../../src/mcp/tools/index.ts";
import { connect, ERAS, job, textOf } from "./connect.ts";

const annotations = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
};

/** A tool that does what the test says. */
function toolDoing(work: (context: WorkContext) => Promise<string>): Tool {
  return defineTool({
    name: "try_it",
    title: "Try it",
    description: "For tests.",
    input: z.strictObject({ n: z.int().min(0).max(9).default(1) }),
    output: z.object({ said: z.string() }),
    annotations,
    handle: async (_args, { work: context }) => {
      const said = await work(context);
      return { structured: { said }, text: said, next: "nothing" };
    },
  });
}

test.each(ERAS)("%s: an answer has both renderings and the next step", async (era) => {
  const client = await connect(era, { tools: [toolDoing(async () => "done")] });
  const answer = await client.callTool({ name: "try_it", arguments: {} });
  expect(answer.structuredContent).toEqual({ said: "done", next: "nothing" });
  expect(textOf(answer)).toBe("done\nNext: nothing");
  await client.close();
});

test.each(ERAS)("%s: a known error is told with code, cause and fix", async (era) => {
  const failing = toolDoing(async () => {
    throw new KernelEvolveError("missing_tool", "gcc is not installed", { fix: "apt-get install gcc" });
  });
  const client = await connect(era, { tools: [failing] });
  const answer = await client.callTool({ name: "try_it", arguments: {} });
  expect(answer.isError).toBe(true);
  expect(textOf(answer)).toBe("missing_tool: gcc is not installed\nFix: apt-get install gcc");
  await client.close();
});

test("an unforeseen error tells nothing of the inside", async () => {
  const failing = toolDoing(async () => {
    throw new TypeError("secret /root/path");
  });
  const client = await connect("2025-11-25", { tools: [failing] });
  const answer = await client.callTool({ name: "try_it", arguments: {} });
  expect(answer.isError).toBe(true);
  expect(textOf(answer)).toMatch(
    /^infrastructure: try_it failed unexpectedly \(reference [0-9a-f]{8}\)\nFix: /,
  );
  expect(textOf(answer)).not.toMatch(/secret|\/root|\n\s+at /);
  await client.close();
});

test("an aborted request aborts the wait", async () => {
  const aborted = Promise.withResolvers<boolean>();
  const waiting = toolDoing(async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    aborted.resolve(signal.aborted);
    return "too late";
  });
  const client = await connect("2025-11-25", { tools: [waiting] });
  const stop = new AbortController();
  const call = client.callTool({ name: "try_it", arguments: {} }, { signal: stop.signal });
  setTimeout(() => stop.abort(), 20);
  await expect(call).rejects.toThrow();
  expect(await aborted.promise).toBe(true);
  await client.close();
});

test("every tool refuses what is extra, and no tool opens the services for it", async () => {
  const client = await connect("2025-11-25");
  for (const { name } of tools) {
    const answer = await client.callTool({ name, arguments: { "no;such": 1 } });
    expect(answer.isError, name).toBe(true);
    expect(textOf(answer), name).toMatch(/unknown argument "no;such"/);
  }
  await client.close();
});

test("every argument of every tool refuses a wrong type, a NUL byte and ten megabytes, by its name", async () => {
  const client = await connect("2025-11-25");
  const huge = "x".repeat(10_000_000);
  for (const tool of tools) {
    for (const argument of Object.keys(tool.input.shape)) {
      // No argument is an object that may hold this, and none is a list of lists.
      const wrong = await client.callTool({ name: tool.name, arguments: { [argument]: [[[]]] } });
      expect(textOf(wrong), tool.name).toContain(argument);
      const nul = await client.callTool({ name: tool.name, arguments: { [argument]: "a\0b" } });
      expect(textOf(nul)).toMatch(`${argument}: contains a NUL byte`);
      const large = await client.callTool({ name: tool.name, arguments: { [argument]: huge } });
      expect(textOf(large)).toMatch(`${argument}: is larger than`);
      for (const answer of [wrong, nul, large]) {
        expect(answer.isError).toBe(true);
        expect(textOf(answer).length).toBeLessThan(4100);
      }
    }
  }
  await client.close();
}, 120_000);

test("arguments: deep, wide and missing ones are named", () => {
  const schema = z.strictObject({ tree: z.unknown(), name: z.string() });
  let deep: unknown = 1;
  for (let level = 0; level < 100_000; level += 1) deep = [deep];
  expect(() => checkArguments("t", schema, { tree: deep, name: "a" })).toThrow(/^tree: is nested deeper/);
  const wide = Array.from({ length: 200_000 }, () => 0);
  expect(() => checkArguments("t", schema, { tree: wide, name: "a" })).toThrow(/^tree: has more than/);
  expect(() => checkArguments("t", schema, { tree: 1 })).toThrow(/^name: is missing$/);
  expect(() => checkArguments("t", schema, { tree: 1, nme: "a" })).toThrow(
    /"nme" \(did you mean name\?\); t takes tree, name/,
  );
  expect(() => checkArguments("t", schema, "text")).toThrow(/^arguments: /);
  expect(checkArguments("t", schema, { tree: [], name: "a" })).toEqual({ tree: [], name: "a" });
});

test("progress: at most twice a second with the newest state, growing, and a sign of life", () => {
  vi.useFakeTimers();
  try {
    const sent: ProgressParams[] = [];
    const reporter = new ProgressReporter("Try it", (params) => sent.push(params));
    for (let step = 1; step <= 40; step += 1) {
      reporter.report({ progress: step, total: 40, message: `step ${step}` });
      vi.advanceTimersByTime(50);
    }
    // Two seconds of changes: the first at once, then one each half second.
    expect(sent.length).toBeGreaterThanOrEqual(4);
    expect(sent.length).toBeLessThanOrEqual(5);
    vi.advanceTimersByTime(500);
    expect(sent.at(-1)?.message).toBe("step 40");
    const before = sent.length;
    vi.advanceTimersByTime(25_000);
    expect(sent.length).toBe(before + 2);
    for (const [index, params] of sent.entries())
      expect(params.progress).toBeGreaterThan(sent[index - 1]?.progress ?? -1);
    reporter.end();
    reporter.report({ progress: 41, message: "after the end" });
    vi.advanceTimersByTime(25_000);
    expect(sent.length).toBe(before + 2);
  } finally {
    vi.useRealTimers();
  }
});

test("an answer too large goes whole into an artifact and says so", async () => {
  const written: string[] = [];
  const artifacts = async () => ({
    write: async (text: string | Uint8Array) => {
      written.push(String(text));
      return "art_1";
    },
    read: () => Promise.reject(new Error("not read")),
  });
  const small = { structured: { a: "x", next: "n" }, text: "x" };
  expect(await cutToSize("t", small, artifacts)).toBe(small);
  expect(written).toEqual([]);
  const structured = {
    source: "s".repeat(500_000),
    nodes: Array.from({ length: 300 }, (_, index) => ({ node: `n${index}`, why: "w".repeat(300) })),
    next: "n",
  };
  const cut = await cutToSize("t", { structured, text: "ä".repeat(300_000) }, artifacts);
  expect(Buffer.byteLength(JSON.stringify(cut.structured))).toBeLessThanOrEqual(MAX_ANSWER_BYTES);
  expect(Buffer.byteLength(cut.text)).toBeLessThanOrEqual(MAX_ANSWER_BYTES);
  expect(cut.structured.full).toBe("art_1");
  expect(cut.structured.next).toBe("n");
  expect(cut.text).toContain("artifact_read with artifact art_1");
  expect(cut.text).not.toContain("\uFFFD");
  expect(JSON.parse(written[0] ?? "")).toEqual(structured);
});

test("a job is a handle while it runs and its error when it failed", () => {
  expect(handleOf(job())).toEqual({
    job_id: "job_1",
    state: "running",
    progress: 0.25,
    message: "compiling",
  });
  expect(handleOf(job({ total: undefined, progress: 7 }))).not.toHaveProperty("progress");
  const failed = job({ state: "failed", error: { code: "budget_spent", message: "spent", fix: "more" } });
  expect(() => jobResult(failed, z.unknown())).toThrow(
    expect.objectContaining({ code: "budget_spent", fix: "more", message: "spent (job job_1)" }),
  );
  expect(() => jobResult(job({ state: "cancelled" }), z.unknown())).toThrow(
    expect.objectContaining({ code: "cancelled" }),
  );
});
