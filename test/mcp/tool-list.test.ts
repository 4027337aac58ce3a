import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { INSTRUCTIONS } from "../../src/mcp/instructions.ts";
import { listingOf } from "../../src/mcp/listing.ts";
import { toolReference, toolTable } from "../../src/mcp/reference.ts";
import { tools } from "../../src/mcp/tools/index.ts";
import { packageRoot } from "../../src/platform/paths.ts";
import { connect, ERAS } from "./connect.ts";

/** The whole list in a model's context (two kilobytes a tool, of at most 22), and one text of it, in bytes. */
const LIST_BYTES = 22 * 2 * 1024;
const TEXT_BYTES = 2048;

async function list(era: (typeof ERAS)[number]) {
  const client = await connect(era);
  const answer = await client.listTools();
  await client.close();
  return answer.tools;
}

test("the list of tools is what was agreed", async () => {
  expect(await list("2025-11-25")).toMatchSnapshot();
});

test("both protocol eras list the same tools, always in the same order", async () => {
  const [old, modern] = await Promise.all(ERAS.map(list));
  expect(modern).toEqual(old);
  const names = tools.map((tool) => tool.name);
  expect(names).toEqual([...names].sort());
  expect(old?.map((tool) => tool.name)).toEqual(names);
});

test("the list and every text stay within their budgets", async () => {
  const listed = await list("2025-11-25");
  expect(Buffer.byteLength(JSON.stringify(listed))).toBeLessThan(LIST_BYTES);
  for (const tool of listed)
    expect(Buffer.byteLength(tool.description ?? ""), tool.name).toBeLessThan(TEXT_BYTES);
  expect(Buffer.byteLength(INSTRUCTIONS)).toBeLessThan(TEXT_BYTES);
});

/** Every schema inside a schema. */
function* parts(schema: unknown): Generator<Record<string, unknown>> {
  if (schema === null || typeof schema !== "object") return;
  if (!Array.isArray(schema)) yield Object.fromEntries(Object.entries(schema));
  for (const inner of Object.values(schema)) yield* parts(inner);
}

test("schemas are ones that every client accepts", async () => {
  for (const tool of await list("2025-11-25")) {
    for (const word of ["anyOf", "oneOf", "allOf"])
      expect(tool.inputSchema, tool.name).not.toHaveProperty(word);
    expect(tool.inputSchema["additionalProperties"], tool.name).toBe(false);
    for (const part of parts(tool.inputSchema)) {
      if (part["type"] !== "integer") continue;
      expect(Number.isSafeInteger(part["minimum"]) && Number(part["minimum"]) >= 0, tool.name).toBe(true);
      expect(Number(part["maximum"]), tool.name).toBeLessThan(Number.MAX_SAFE_INTEGER);
    }
    for (const property of Object.values(tool.inputSchema.properties ?? {}))
      expect(property, tool.name).toHaveProperty("description");
    expect(tool.outputSchema?.["required"], tool.name).toContain("next");
    expect(Object.keys(tool.annotations ?? {}).sort(), tool.name).toEqual([
      "destructiveHint",
      "idempotentHint",
      "openWorldHint",
      "readOnlyHint",
    ]);
  }
});

test("the tool reference is up to date (npm run gen)", () => {
  expect(readFileSync(join(packageRoot, "docs", "tool-reference.md"), "utf8")).toBe(toolReference());
});

test("the README's table of tools is up to date (npm run gen)", () => {
  expect(readFileSync(join(packageRoot, "README.md"), "utf8")).toContain(toolTable());
});

test("the list that a server starts from is the registry's (npm run gen)", () => {
  const text = readFileSync(join(packageRoot, "src", "mcp", "tool-list.json"), "utf8");
  expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(listingOf(tools))));
});
