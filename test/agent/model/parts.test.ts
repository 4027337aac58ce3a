import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readAnswer } from "../../../src/agent/model/answer.ts";
import { Bandit, rewardOf } from "../../../src/agent/model/bandit.ts";
import { ModelFailure, retryAfterMs, withRetries } from "../../../src/agent/model/failure.ts";
import { costOf, readPrices } from "../../../src/agent/model/prices.ts";
import { modelSettings } from "../../../src/agent/model/settings.ts";
import { packageRoot } from "../../../src/platform/paths.ts";

const folder = mkdtempSync(join(tmpdir(), "ke-model-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
function table(text: string): string {
  const path = join(folder, "prices.yaml");
  writeFileSync(path, text);
  return path;
}

describe("an answer", () => {
  it("is the longest block, with its rationale and ideas", () => {
    const text =
      "<think>```c\nnever this one, however long it is, since it is a thought\n```</think>\n**Rationale:** fewer loads\n```c\nint a;\n```\n```c\nint kernel(void);\n```\n- Deferred: try tiles\n";
    expect(readAnswer(text)).toEqual({
      source: "int kernel(void);\n",
      rationale: "fewer loads",
      deferred: ["try tiles"],
    });
  });

  it("may have its rationale unmarked, fences of tildes and lines that end as on Windows", () => {
    expect(readAnswer("I unrolled it.\r\n~~~~c\r\nint a;\r\n~~~~")).toMatchObject({
      source: "int a;\n",
      rationale: "I unrolled it.",
    });
  });

  it.each([["prose alone"], ["```c\nnever closed"], ["```c\n\n```"], [""]])("is none in %j", (text) => {
    expect(readAnswer(text)).toHaveProperty("problem");
  });
});

describe("prices", () => {
  it("are per million tokens, cached ones apart", () => {
    const prices = readPrices(table("models: { a: { input: 2, output: 10, cached_input: 0.5 } }"));
    expect(costOf(prices, "a", { input: 1_000_000, output: 100_000, cached: 400_000 })).toBeCloseTo(
      1.2 + 0.2 + 1,
      9,
    );
    expect(costOf(prices, "b", { input: 1, output: 1, cached: 0 })).toBeUndefined();
    expect(costOf(prices, "constructor", { input: 1, output: 1, cached: 0 })).toBeUndefined();
  });

  it.each([
    ["models: { a: { input: -1, output: 1 } }", "models.a.input"],
    ["[1", "price table"],
    ["models: 3", "models"],
  ])("that are malformed are told by field: %j", (text, name) => {
    expect(() => readPrices(table(text))).toThrow(name);
  });
});

describe("settings", () => {
  it("ask for a key only of OpenAI itself", () => {
    expect(() => modelSettings({ models: ["m"] }, {})).toThrow("OPENAI_API_KEY is not set");
    expect(() => modelSettings({ models: ["m"] }, { OPENAI_BASE_URL: "https://api.openai.com/v1" })).toThrow(
      "OPENAI_API_KEY",
    );
    expect(modelSettings({ models: ["m"], baseUrl: "http://127.0.0.1:1/v1" }, {}).apiKey).toBe("none");
  });

  it("come from the environment where nothing is chosen", () => {
    const env = { OPENAI_API_KEY: "k", KERNELEVOLVE_MODEL: "a, b,a", KERNELEVOLVE_PROPOSERS: "3" };
    expect(modelSettings({}, env)).toMatchObject({ models: ["a", "b"], proposers: 3 });
    expect(() => modelSettings({}, { ...env, KERNELEVOLVE_PROPOSERS: "many" })).toThrow(
      "KERNELEVOLVE_PROPOSERS",
    );
    expect(() => modelSettings({}, { OPENAI_API_KEY: "k" })).toThrow("no model is named");
    expect(() => modelSettings({ models: ["m"], baseUrl: "ftp://x" }, env)).toThrow("no http(s) address");
  });
});

describe("requests that fail in passing", () => {
  const quick = { retries: 3, backoffMs: 1, signal: new AbortController().signal, waiting: () => undefined };
  it("wait as long as the endpoint asks", () => {
    expect(retryAfterMs({ headers: new Headers({ "retry-after": "2" }) })).toBe(2000);
    expect(retryAfterMs({ cause: { headers: { "retry-after": new Date(5000).toUTCString() } } }, 1000)).toBe(
      4000,
    );
    expect(retryAfterMs(new Error("none"))).toBeUndefined();
  });

  it("are not made again when the endpoint asks for minutes", async () => {
    const error = Object.assign(new Error("slow down"), {
      status: 429,
      headers: new Headers({ "retry-after": "900" }),
    });
    let asked = 0;
    const request = async (): Promise<never> => {
      asked += 1;
      throw error;
    };
    await expect(withRetries(request, quick)).rejects.toBeInstanceOf(ModelFailure);
    expect(asked).toBe(1);
  });

  it.each([
    [404, "model"],
    [400, "request"],
    [500, "passing"],
  ])("with %i concern the %s", async (status, reach) => {
    const request = async (): Promise<never> => {
      throw Object.assign(new Error("no"), { status });
    };
    await expect(withRetries(request, quick)).rejects.toMatchObject({ reach });
  });
});

describe("the bandit", () => {
  /** Children of each model: what one is worth, and costs. */
  function pulls(
    worth: Record<string, { reward: number; cost: number }>,
    times: number,
  ): Record<string, number> {
    const bandit = new Bandit(Object.keys(worth));
    const count: Record<string, number> = {};
    for (let n = 0; n < times; n += 1) {
      const model = bandit.choose() ?? "";
      count[model] = (count[model] ?? 0) + 1;
      bandit.settle(model, worth[model]?.reward ?? 0, worth[model]?.cost ?? 0);
    }
    return count;
  }

  it("asks each once first, then the one that is worth more", () => {
    const count = pulls({ poor: { reward: 0.05, cost: 1 }, rich: { reward: 0.6, cost: 1 } }, 100);
    expect(count.poor).toBeGreaterThan(0);
    expect(count.rich).toBeGreaterThan(2 * (count.poor ?? 0));
  });

  it("asks the cheaper of two that are worth the same", () => {
    const count = pulls({ dear: { reward: 0.3, cost: 10 }, cheap: { reward: 0.3, cost: 1 } }, 60);
    expect(count.cheap).toBeGreaterThan(4 * (count.dear ?? 0));
  });

  it("spreads what is asked at once, forgets a model that is dropped, and has none when all are", () => {
    const bandit = new Bandit(["a", "b"]);
    expect([bandit.choose(), bandit.choose()]).toEqual(["a", "b"]);
    bandit.drop("a");
    expect(bandit.choose()).toBe("b");
    bandit.drop("b");
    expect(bandit.choose()).toBeUndefined();
  });

  it("values what a child gains over its parent", () => {
    expect(rewardOf({ verdict: "rejected", fitness: 0 }, [])).toBe(0);
    expect(rewardOf({ verdict: "passed", fitness: 2 }, [{ fitness: 2 }])).toBe(0.05);
    expect(rewardOf({ verdict: "passed", fitness: 4 }, [{ fitness: 2 }])).toBe(1);
    expect(rewardOf({ verdict: "passed", fitness: 2 }, [{ fitness: 0 }])).toBe(1);
  });
});

describe("the server", () => {
  it("never loads the packages of language models by itself", () => {
    const seen = new Set<string>();
    const found: string[] = [];
    const walk = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      const text = readFileSync(file, "utf8");
      for (const [, types, name] of text.matchAll(/^(?:import|export) (type )?[^;]*?from "([^"]+)"/gms)) {
        if (types !== undefined || name === undefined) continue;
        if (name.startsWith(".")) walk(resolve(dirname(file), name));
        else if (/langchain|^openai/.test(name)) found.push(`${relative(packageRoot, file)}: ${name}`);
      }
    };
    for (const entry of [
      "main.ts",
      "app/services.ts",
      "cli/server.ts",
      "mcp/tools/index.ts",
      "cli/commands/evolve.ts",
    ])
      walk(join(packageRoot, "src", entry));
    expect(seen.size).toBeGreaterThan(100);
    expect(found).toEqual([]);
  });
});
