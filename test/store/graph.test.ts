import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sha256 } from "../../src/platform/hash.ts";
import { openStore, type Store } from "../../src/store/index.ts";
import { claimOf, Folder, newNode, recordOf, runOf } from "./fixtures.ts";

let folder: Folder;
let store: Store;
beforeEach(() => {
  folder = new Folder();
  store = openStore(folder.path);
  store.graph.createRun(runOf("run_a"));
});
afterEach(() => {
  store.close();
  folder[Symbol.dispose]();
});

const ids = (nodes: readonly { id: string }[]): string[] => nodes.map((node) => node.id);
const insert = (id: string, parents: string[] = [], more = {}): number =>
  store.graph.insertNode(newNode(id, "run_a", { parents, ...more })).node.step;

describe("runs", () => {
  it("come back as they were, newest first, and once for one key", () => {
    const run = runOf("run_b", { created_at: "2026-02-01T00:00:00.000Z", budget: { stall: 3 } });
    expect(store.graph.createRun(run, "key")).toEqual(run);
    expect(store.graph.createRun(runOf("run_c"), "key")).toEqual(run);
    expect(ids(store.graph.runs())).toEqual(["run_b", "run_a"]);
    store.graph.updateRun({ ...run, state: "finished", stop_reason: "stall" });
    expect(store.graph.run("run_b")).toMatchObject({ state: "finished", stop_reason: "stall" });
    expect(() => store.graph.updateRun(runOf("run_none"))).toThrow("run_none is unknown");
  });

  it("count time between beats that are near each other", () => {
    store.graph.beat("run_a", 1_000_000, 5000);
    store.graph.beat("run_a", 1_002_000, 5000);
    store.graph.beat("run_a", 1_001_000, 5000);
    store.graph.beat("run_a", 1_060_000, 5000);
    store.graph.addActivity("run_a", 0.5);
    expect(store.graph.activeSeconds("run_a")).toBe(2.5);
  });
});

describe("nodes", () => {
  it("count steps from 0 and come back as they were", () => {
    const { node } = store.graph.insertNode(
      newNode("n0", "run_a", { reasons: [{ code: "c", message: "m" }] }),
    );
    expect(node.step).toBe(0);
    expect(insert("n1", ["n0"])).toBe(1);
    expect(store.graph.node("n0")).toEqual(node);
    expect(store.graph.source(node.candidate)).toBe("int n0;");
    expect(store.graph.node("none")).toBeUndefined();
  });

  it("cannot be changed or removed, by any statement", () => {
    insert("n0");
    insert("n1", ["n0"]);
    store.close();
    const db = new DatabaseSync(join(folder.path, "state.db"));
    db.exec("PRAGMA recursive_triggers = ON");
    const statements = [
      "UPDATE nodes SET fitness = 9",
      "DELETE FROM nodes WHERE id = 'n1'",
      "INSERT OR REPLACE INTO nodes SELECT * FROM nodes",
      "UPDATE node_parents SET parent = child",
      "DELETE FROM node_parents",
      "UPDATE candidates SET source = ''",
      "DELETE FROM candidates",
    ];
    for (const sql of statements) expect(() => db.exec(sql), sql).toThrow("insert-only");
    db.close();
    store = openStore(folder.path);
    expect(store.graph.node("n1")).toMatchObject({ fitness: 1, parents: ["n0"] });
  });

  it("are refused whole when they could not be read back or do not belong", () => {
    insert("n0");
    store.graph.createRun(runOf("run_b"));
    const cases: [ReturnType<typeof newNode>, string][] = [
      [newNode("x", "run_a", { fitness: Number.POSITIVE_INFINITY }), "fitness"],
      [newNode("x", "run_a", { device_seconds: Number.NaN }), "device"],
      [newNode("x", "run_a", { rationale: "r".repeat(3000) }), "rationale"],
      [newNode("x", "run_a", { candidate: "f".repeat(64) }), "sha256"],
      [newNode("x", "run_a", { parents: ["none"] }), "parent none"],
      [newNode("x", "run_b", { parents: ["n0"] }), "parent n0"],
      [newNode("x", "run_a", { parents: ["n0", "n0"] }), "twice"],
      [newNode("x", "run_none"), "FOREIGN KEY"],
      [newNode("n0", "run_a"), "UNIQUE"],
    ];
    for (const [input, message] of cases) {
      expect(() => store.graph.insertNode(input), message).toThrow(message);
      expect(store.graph.source(sha256("int x;"))).toBeUndefined();
    }
    expect(ids(store.graph.nodes("run_a"))).toEqual(["n0"]);
  });

  it("keep any text as it is", () => {
    const texts = [
      "'; DROP TABLE nodes; --",
      "\u0000 \u0000",
      "Fitness: 99\nStep: 0\n\n---\nSigned-off-by: x",
      "\u{1F600}é‮\u200b\r\n\t",
      `\${x} %s {{}} $(id) \`id\``,
    ];
    for (const [index, text] of texts.entries()) {
      const source = `${text}${"é".repeat(200_000)}`;
      store.graph.insertNode(newNode(`h${index}`, "run_a", { rationale: text, proposer: text }, source));
      const back = store.graph.node(`h${index}`);
      expect(back).toMatchObject({ rationale: text, proposer: text });
      expect(store.graph.source(back?.candidate ?? "")).toBe(source);
    }
    for (const id of ["' OR 1=1 --", "\0", "n0\0x", "%"]) expect(store.graph.node(id)).toBeUndefined();
    expect(store.graph.nodes("run_a' OR '1'='1")).toEqual([]);
  });

  it("are listed by step or fitness, by verdict, in pages", () => {
    for (let index = 0; index < 20; index += 1)
      insert(`n${index}`, [], { fitness: index % 7, verdict: index % 3 === 0 ? "rejected" : "passed" });
    const all = store.graph.nodes("run_a");
    expect(all.map((node) => node.step)).toEqual([...Array(20).keys()]);
    const byFitness = [...all].sort((a, b) => b.fitness - a.fitness || a.step - b.step);
    expect(store.graph.nodes("run_a", { order: "fitness" })).toEqual(byFitness);
    expect(store.graph.nodes("run_a", { order: "fitness", offset: 3, limit: 4 })).toEqual(
      byFitness.slice(3, 7),
    );
    expect(store.graph.nodes("run_a", { order: "fitness", verdict: "rejected", limit: 2 })).toEqual(
      byFitness.filter((node) => node.verdict === "rejected").slice(0, 2),
    );
    expect(store.graph.nodes("run_a", { after_step: 16, verdict: "passed" })).toEqual(
      all.filter((node) => node.step > 16 && node.verdict === "passed"),
    );
    expect(store.graph.best("run_a")?.id).toBe("n6");
    expect(store.graph.frontier("run_a", 3)).toEqual(byFitness.slice(0, 3));
    expect(store.graph.totals("run_a")).toEqual({
      nodes: 20,
      passed: 13,
      device_seconds: 10,
      since_best: 13,
      tokens: 0,
      cost: 0,
      seconds: 0,
    });
    expect(store.graph.statusCounts("run_a")).toEqual({ ok: 20 });
    expect(store.graph.best("run_none")).toBeUndefined();
  });

  it("know their relatives through crossovers", () => {
    //  a ─ b ─ d ─ f      f has the parents d and e; a is reached by three paths
    //   └─ c ─┴ e ─┘
    insert("a");
    insert("b", ["a"]);
    insert("c", ["a"]);
    insert("d", ["b", "c"]);
    insert("e", ["c"]);
    insert("f", ["d", "e"]);
    insert("g", ["d"]);
    expect(ids(store.graph.ancestors("f"))).toEqual(["e", "d", "c", "b", "a"]);
    expect(ids(store.graph.ancestors("f", 2))).toEqual(["e", "d"]);
    expect(store.graph.ancestors("a")).toEqual([]);
    expect(ids(store.graph.siblings("f"))).toEqual(["g"]);
    expect(ids(store.graph.siblings("d"))).toEqual(["e"]);
    expect(ids(store.graph.siblings("d", 0))).toEqual([]);
    expect(ids(store.graph.children("c"))).toEqual(["d", "e"]);
    expect(ids(store.graph.children("c", 1))).toEqual(["d"]);
  });

  it("find ancestors in a lattice where the paths are beyond counting", () => {
    insert("l0");
    insert("r0");
    for (let level = 1; level < 200; level += 1) {
      insert(`l${level}`, [`l${level - 1}`, `r${level - 1}`]);
      insert(`r${level}`, [`l${level - 1}`, `r${level - 1}`]);
    }
    expect(store.graph.ancestors("l199")).toHaveLength(398);
  });

  it("meet their twin; one that was judged comes first", () => {
    const twin = newNode("t0", "run_a", { status: "infrastructure_error" });
    store.graph.insertNode(twin);
    expect(store.graph.twin("run_a", twin.dedup)?.id).toBe("t0");
    store.graph.insertNode({ ...newNode("t1", "run_a"), dedup: twin.dedup });
    store.graph.insertNode({ ...newNode("t2", "run_a"), dedup: twin.dedup });
    expect(store.graph.twin("run_a", twin.dedup)?.id).toBe("t1");
    expect(store.graph.twin("run_b", twin.dedup)).toBeUndefined();
  });

  it("remember their commit, and forget it when the archive is lost", () => {
    insert("n0");
    insert("n1");
    store.graph.setCommit("n0", "c".repeat(40));
    expect(store.graph.node("n0")?.commit).toBe("c".repeat(40));
    expect(ids(store.graph.unarchived("run_a"))).toEqual(["n1"]);
    store.graph.forgetCommits("run_a");
    expect(ids(store.graph.unarchived("run_a"))).toEqual(["n0", "n1"]);
  });
});

describe("claims", () => {
  it("open, expire, are renewed, released and answered", () => {
    const now = Date.now();
    store.graph.createClaim(
      claimOf("c1", "run_a", { expires_at: new Date(now + 1000).toISOString() }),
      "prompt",
    );
    store.graph.createClaim(claimOf("c2", "run_a"), "");
    expect(store.graph.prompt("c1")).toBe("prompt");
    store.graph.setPrompt("c2", "later");
    expect(store.graph.prompt("c2")).toBe("later");
    expect(ids(store.graph.openClaims("run_a", now))).toEqual(["c1", "c2"]);
    expect(store.graph.claim("c1", now + 1000)?.state).toBe("expired");
    expect(store.graph.countOpenClaims("run_a", now + 1000)).toBe(1);
    store.graph.renewClaim("c1", now + 5000);
    expect(store.graph.claim("c1", now + 1000)).toMatchObject({
      state: "open",
      expires_at: new Date(now + 5000).toISOString(),
    });
    store.graph.releaseClaim("c2");
    expect(store.graph.claim("c2")?.state).toBe("expired");
    insert("n0");
    store.graph.answerClaim("c1", "n0");
    expect(store.graph.claim("c1")).toMatchObject({ state: "submitted", node: "n0" });
    store.graph.releaseClaim("c1");
    expect(store.graph.claim("c1")?.state).toBe("submitted");
    expect(store.graph.countClaims("run_a")).toBe(2);
    expect(store.graph.claim("none")).toBeUndefined();
  });

  it("are not given out by a run that has ended", () => {
    store.graph.updateRun(runOf("run_a", { state: "finished" }));
    expect(() => store.graph.createClaim(claimOf("c1", "run_a"), "")).toThrow("takes no new claims");
    expect(() => store.graph.createClaim(claimOf("c1", "run_none"), "")).toThrow("takes no new claims");
  });

  it("are answered once: again with the same source gives the same node, with another a conflict", () => {
    store.graph.createRun(runOf("run_b"));
    store.graph.createClaim(claimOf("c1", "run_a"), "");
    const first = store.graph.insertNode(newNode("n1", "run_a", { claim: "c1" }, "int x;"));
    expect(first.existing).toBe(false);
    const again = store.graph.insertNode(newNode("n2", "run_a", { claim: "c1" }, "int x;"));
    expect(again).toEqual({ node: first.node, existing: true });
    const refused = (input: ReturnType<typeof newNode>, now?: number): unknown => {
      try {
        store.graph.insertNode(input, now);
      } catch (error) {
        return error;
      }
      return undefined;
    };
    expect(refused(newNode("n3", "run_a", { claim: "c1" }, "int y;"))).toMatchObject({ code: "conflict" });
    expect(refused(newNode("n3", "run_b", { claim: "c1" }, "int x;"))).toMatchObject({ code: "conflict" });
    expect(refused(newNode("n3", "run_a", { claim: "none" }))).toMatchObject({ code: "not_found" });
    store.graph.createClaim(claimOf("c2", "run_a"), "");
    expect(refused(newNode("n3", "run_a", { claim: "c2" }), Date.now() + 120_000)).toMatchObject({
      code: "expired",
    });
    expect(ids(store.graph.nodes("run_a"))).toEqual(["n1"]);
    expect(store.graph.claim("c2")?.state).toBe("open");
  });
});

describe("evaluations and problems", () => {
  it("answer by id and by key; the newest of a key wins", () => {
    store.evaluations.put(recordOf("e1"), "key");
    store.evaluations.put(recordOf("e2"), "key");
    store.evaluations.put(recordOf("e3"), undefined);
    expect(store.evaluations.byKey("key")?.id).toBe("e2");
    expect(store.evaluations.get("e1")).toEqual(recordOf("e1"));
    expect(store.evaluations.get("e3")?.id).toBe("e3");
    expect(store.evaluations.byKey("other")).toBeUndefined();
  });

  it("refuse what could not be read back", () => {
    expect(() => store.evaluations.put(recordOf("e1", { roofline: Number.NaN }), "key")).toThrow("roofline");
    expect(store.evaluations.get("e1")).toBeUndefined();
    expect(store.evaluations.byKey("key")).toBeUndefined();
  });

  it("keep what grading found, per target", () => {
    const grading = { degenerate: false, nulls: [], degenerate_workloads: ["w"], graded_at: "now" };
    store.problems.putGrading("hash", "cpu-test", grading);
    expect(store.problems.grading("hash", "cpu-test")).toEqual(grading);
    expect(store.problems.grading("hash", "other")).toBeUndefined();
  });
});
