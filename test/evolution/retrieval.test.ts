import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kernelRetrieval } from "../../src/app/retrieval.ts";
import { createServices } from "../../src/app/services.ts";
import { type KnowledgeService, type Problem, problemSchema, type Services } from "../../src/domain/index.ts";
import { duplicateKey } from "../../src/evolution/normalise.ts";
import { packageRoot } from "../../src/platform/paths.ts";
import { context } from "./fakes.ts";

const home = mkdtempSync(join(tmpdir(), "ke-retrieval-"));
let services: Services;
beforeAll(() => {
  services = createServices(home);
});
afterAll(async () => {
  await services.close();
  rmSync(home, { recursive: true, force: true });
});

const shipped = (path: string): string =>
  readFileSync(join(packageRoot, "knowledge", "kernels", "cpu-x86-64", path), "utf8");

async function kernels(problem: Problem, abstraction = "c") {
  const target = await services.targets.get("cpu-x86-64");
  return await kernelRetrieval(services.knowledge)({ target, abstraction, problem });
}

test("kernels that ship are found by operator, whole, so that a run knows its own again", async () => {
  const found = await kernels(await services.problems.get("softmax"));
  expect(found.length).toBeGreaterThan(1);
  for (const { id, source } of found) {
    expect(id).toMatch(/^knowledge\/kernels\/cpu-x86-64\/softmax\//);
    const original = shipped(`softmax/${id.split("/").at(-1) ?? ""}`);
    expect(duplicateKey(source, "c")).toBe(duplicateKey(original, "c"));
  }
});

test("what a run left behind comes first for its problem, and other languages and operators do not come before", async () => {
  const problem = await services.problems.get("row-reduction");
  const source = shipped("row-reduction/rows.c").replaceAll("sum", "total");
  const about = { format: "kernel" as const, target: "cpu-x86-64", op: ["reduction" as const] };
  const known = { problem: "row-reduction", dtypes: ["float32"], speedup: 3.2, baseline: "reference" };
  const added = async (abstraction: string, text: string, title: string) =>
    await services.knowledge.add(
      { ...about, text, title, abstractions: [abstraction], kernel: known },
      context,
    );
  const mine = await added("c", source, "row-reduction: 3.2x over reference (node_a)");
  const other = await added("cpp", `${source}\n// in C++\n`, "row-reduction: 4.0x over reference (node_b)");
  const found = await kernels(problem);
  const ids = found.map(({ id }) => id);
  expect(ids).toContain(mine.documents[0]);
  expect(ids.indexOf(other.documents[0] ?? "")).toBe(ids.length - 1);
  const remembered = found.find(({ id }) => id === mine.documents[0]);
  expect(duplicateKey(remembered?.source ?? "", "c")).toBe(duplicateKey(source, "c"));
  expect(ids.every((id) => !/softmax|matmul|conv/.test(id))).toBe(true);
  expect((await kernels(problem, "cpp"))[0]?.id).toBe(other.documents[0]);
});

test("an operator that nothing is known of has none, and a broken knowledge base costs no claim", async () => {
  const base = await services.problems.get("softmax");
  const definition = { ...base.definition, name: "quux", op_type: "quux" };
  expect(await kernels(problemSchema.parse({ ...base, definition }))).toEqual([]);
  const broken: KnowledgeService = Object.create(services.knowledge, {
    list: { value: () => Promise.reject(new Error("index is broken")) },
  });
  const target = await services.targets.get("cpu-x86-64");
  expect(await kernelRetrieval(broken)({ target, abstraction: "c", problem: base })).toEqual([]);
});
