import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Node } from "../../src/domain/index.ts";
import { openStore, type Store } from "../../src/store/index.ts";
import { claimOf, Folder, newNode, runOf } from "./fixtures.ts";

let folder: Folder;
let store: Store;
beforeEach(() => {
  folder = new Folder();
  store = openStore(folder.path);
  for (const [run, more] of [
    ["run_a", {}],
    ["run_b", { problem: "other@0" }],
    ["run_cpp", { abstraction: "cpp" }],
  ] as const)
    store.graph.createRun(runOf(run, more));
});
afterEach(() => {
  store.close();
  folder[Symbol.dispose]();
});

const failed: Partial<Node> = { verdict: "rejected", status: "compile_error", fitness: 0 };
function insert(id: string, run: string, parents: string[] = [], signature?: string): void {
  const made = newNode(id, run, { parents, ...(signature === undefined ? {} : failed) });
  store.graph.insertNode(signature === undefined ? made : { ...made, signature });
}
const found = (signature: string, problem = runOf("x").problem, limit = 9): string[] =>
  store.graph
    .repairs(signature, "c", problem, limit)
    .map(({ failed: node, repair }) => `${node.id}>${repair.id}`);

describe("repairs", () => {
  it("are the first passing descendant through failures alone, and stay", () => {
    insert("f1", "run_a", [], "sig");
    insert("f2", "run_a", ["f1"], "sig");
    expect(found("sig")).toEqual([]);
    insert("p1", "run_a", ["f2"]);
    insert("p2", "run_a", ["f1"]);
    insert("p3", "run_a", ["p1"]);
    expect(found("sig")).toEqual(["f2>p1", "f1>p1"]);
    // A node between that passed, or that nobody can be blamed for, ends the line.
    insert("f3", "run_a", ["p1"], "sig");
    insert("void", "run_a", ["f3"]);
    insert("f4", "run_a", ["void"], "sig");
    insert("p4", "run_a", ["f4"]);
    expect(found("sig").slice(0, 2)).toEqual(["f4>p4", "f3>void"]);
    expect(store.graph.signature("f4")).toBe("sig");
    expect(store.graph.signature("p4")).toBeUndefined();
  });

  it("of the same problem come first, then the newest; another language has its own", () => {
    for (const [run, index] of [
      ["run_a", 0],
      ["run_b", 1],
      ["run_cpp", 2],
      ["run_a", 3],
      ["run_b", 4],
    ] as const) {
      insert(`f${index}`, run, [], "sig");
      insert(`p${index}`, run, [`f${index}`]);
    }
    expect(found("sig")).toEqual(["f3>p3", "f0>p0", "f4>p4", "f1>p1"]);
    expect(found("sig", "other@0", 2)).toEqual(["f4>p4", "f1>p1"]);
    expect(found("another")).toEqual([]);
    expect(store.graph.repairs("sig", "cpp", "")).toHaveLength(1);
  });

  it("are searched by an index", () => {
    const db = new DatabaseSync(join(folder.path, "state.db"));
    const plan = (sql: string): string =>
      z
        .array(z.looseObject({ detail: z.string() }))
        .parse(db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all())
        .map((row) => row.detail)
        .join("\n");
    expect(
      plan(
        "SELECT node FROM failures WHERE signature = 'a' AND abstraction = 'c' AND repair IS NOT NULL ORDER BY rowid DESC LIMIT 9",
      ),
    ).toMatch(/^SEARCH failures USING INDEX failures_repaired[^\n]*$/);
    expect(
      plan("SELECT node FROM shapes WHERE run = 'a' AND shape = 'b' ORDER BY rowid DESC LIMIT 9"),
    ).toMatch(/^SEARCH shapes USING INDEX shapes_run[^\n]*$/);
    db.close();
  });
});

describe("shapes", () => {
  it("name the newest nodes of a run, without those that were never judged", () => {
    const shaped = (id: string, run: string, more: Partial<Node> = {}) =>
      store.graph.insertNode({ ...newNode(id, run, more), shape: "s" });
    shaped("a1", "run_a");
    shaped("b1", "run_b");
    shaped("a2", "run_a", { verdict: "rejected", status: "infrastructure_error" });
    shaped("a3", "run_a", failed);
    expect(store.graph.ofShape("run_a", "s").map((node) => node.id)).toEqual(["a3", "a1"]);
    expect(store.graph.ofShape("run_a", "t")).toEqual([]);
  });
});

describe("usage", () => {
  it("is counted once for a key of a run, cannot be changed, and is known as of a moment", () => {
    const used = { input_tokens: 5, output_tokens: 2, cost: 0.5, model: "m" };
    expect(store.graph.addUsage("run_a", "k", used, undefined, "2026-01-01T00:00:00.000Z")).toBe(true);
    expect(store.graph.addUsage("run_a", "k", { ...used, cost: 9 })).toBe(false);
    store.graph.addUsage(
      "run_a",
      "l",
      { input_tokens: 1, output_tokens: 0 },
      undefined,
      "2026-01-03T00:00:00.000Z",
    );
    store.graph.addUsage("run_b", "k", used);
    expect(store.graph.used("run_a")).toEqual({ tokens: 8, cost: 0.5 });
    expect(store.graph.usedUntil("run_a", "2026-01-02T00:00:00.000Z")).toEqual({ tokens: 7, cost: 0.5 });
    const db = new DatabaseSync(join(folder.path, "state.db"));
    expect(() => db.exec("UPDATE usage SET cost = 0")).toThrow("insert-only");
    expect(() => db.exec("DELETE FROM usage")).toThrow("insert-only");
    db.close();
  });

  it("goes with the node in one transaction: a node that is refused spends nothing", () => {
    store.graph.createClaim(claimOf("c1", "run_a"), "");
    const made = newNode("n1", "run_a", { claim: "c1", usage: { input_tokens: 3, output_tokens: 4 } });
    expect(() =>
      store.graph.insertNode(newNode("n0", "run_a", { ...made.node, parents: ["nobody"] })),
    ).toThrow();
    expect(store.graph.used("run_a")).toEqual({ tokens: 0, cost: 0 });
    store.graph.insertNode(made);
    store.graph.insertNode(made);
    expect(store.graph.used("run_a")).toEqual({ tokens: 7, cost: 0 });
    expect(store.graph.node("n1")?.usage).toEqual({ input_tokens: 3, output_tokens: 4 });
  });
});

describe("prompts of claims", () => {
  it("are kept with what they cite", () => {
    store.graph.createClaim(claimOf("c1", "run_a", { memory: "siblings", prior: true }), "");
    const claim = store.graph.setPrompt("c1", "text", { documents: ["d"], prior_kernels: ["k"] });
    expect(claim).toMatchObject({ memory: "siblings", prior: true, documents: ["d"], prior_kernels: ["k"] });
    expect(store.graph.claim("c1")).toEqual(claim);
    expect(store.graph.prompt("c1")).toBe("text");
    expect(store.graph.setPrompt("nobody", "text")).toBeUndefined();
  });
});
