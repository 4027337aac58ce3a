import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Chat, Meter, told } from "../../../src/agent/model/chat.ts";
import { modelSettings } from "../../../src/agent/model/settings.ts";
import { openServerTools, PROPOSER_TOOLS } from "../../../src/agent/model/tools.ts";
import { Endpoint, said, type Turn } from "./endpoint.ts";

const undo: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one();
});

describe("the tools of a model", () => {
  it("are this server's own over MCP, also with arguments that are wrong, and end when calls run out", async () => {
    const home = mkdtempSync(join(tmpdir(), "ke-model-tools-"));
    undo.push(() => rmSync(home, { recursive: true, force: true }));
    const tools = await openServerTools({ ...process.env, KERNELEVOLVE_HOME: home });
    undo.push(() => tools.close());
    const replies: Turn[] = [
      { tools: [{ name: "target_describe", arguments: '{"target":"cpu-x86-64"}' }] },
      { tools: [{ name: "target_describe", arguments: '{"target":"no-such-target"}' }] },
      { tools: [{ name: "target_describe", arguments: '{"tar' }] },
      { tools: [{ name: "target_describe", arguments: '{"target":"cpu-x86-64"}' }] },
      { text: "done" },
    ];
    const endpoint = await new Endpoint((_, n) => replies[n] ?? { text: "more" }).open();
    undo.push(() => endpoint.close());
    const env = { OPENAI_BASE_URL: endpoint.url };
    const settings = modelSettings({ models: ["scripted"], toolCalls: 2, backoffMs: 1 }, env);
    const meter = new Meter();
    const chat = new Chat(settings, tools, "system");
    const turn = await chat.ask(
      "scripted",
      [told("go")],
      meter,
      new AbortController().signal,
      () => undefined,
    );
    expect(turn.text).toBe("done");
    expect(endpoint.asked[0]?.tools?.map((tool) => tool.function.name).sort()).toEqual(
      [...PROPOSER_TOOLS].sort(),
    );
    expect(said(endpoint.asked[1], -1)).toContain("cpu-x86-64");
    expect(said(endpoint.asked[2], -1)).toMatch(/no-such-target/);
    expect(said(endpoint.asked.at(-1), -1)).toMatch(/no calls are left/);
    expect(meter.tokens.output).toBe(200 * endpoint.asked.length);
    // A server of one's own needs no key.
    expect(endpoint.keys[0]).toBe("Bearer none");
  }, 120_000);
});
