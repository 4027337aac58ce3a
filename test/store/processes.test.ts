import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { openStore } from "../../src/store/index.ts";
import { Folder, runOf } from "./fixtures.ts";

interface Child {
  readonly process: ChildProcess;
  /** Whole lines written so far. */
  readonly lines: () => string[];
  readonly stderr: () => string;
  readonly ended: Promise<unknown>;
}

function start(script: string, ...args: string[]): Child {
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", join(import.meta.dirname, "children", script), ...args],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString("utf8");
  });
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString("utf8");
  });
  return {
    process: child,
    lines: () =>
      out
        .slice(0, out.lastIndexOf("\n") + 1)
        .split("\n")
        .filter((line) => line !== ""),
    stderr: () => err,
    ended: once(child, "close"),
  };
}

function prepare(home: string): void {
  const store = openStore(home);
  store.graph.createRun(runOf("run_a"));
  store.close();
}

describe("several processes on one store", () => {
  it("create it at the same moment", async () => {
    for (let round = 0; round < 3; round += 1) {
      using folder = new Folder();
      const moment = String(Date.now() + 700);
      const children = Array.from({ length: 4 }, () => start("opener.ts", folder.path, moment));
      await Promise.all(children.map((child) => child.ended));
      expect(children.map((child) => child.stderr())).toEqual(["", "", "", ""]);
      expect(children.map((child) => child.process.exitCode)).toEqual([0, 0, 0, 0]);
    }
  });

  it("waits while another process is writing the first pages", async () => {
    using folder = new Folder();
    const file = join(folder.path, "state.db");
    const other = new DatabaseSync(file);
    // SQLite keeps its own wait for this lock nowhere but here: a change to the log is refused at once.
    other.exec("BEGIN IMMEDIATE");
    const child = start("opener.ts", folder.path, "0");
    const early = await Promise.race([child.ended.then(() => "ended"), sleep(2_000).then(() => "waits")]);
    other.exec("ROLLBACK");
    other.close();
    await child.ended;
    expect(child.stderr()).toBe("");
    expect(early).toBe("waits");
  });

  it("claim and submit at once: no place is given twice, no step is doubled, nothing is lost", async () => {
    using folder = new Folder();
    prepare(folder.path);
    const children = ["a", "b", "c"].map((name) => start("submitter.ts", folder.path, name, "300"));
    await Promise.all(children.map((child) => child.ended));
    expect(children.map((child) => child.stderr())).toEqual(["", "", ""]);
    const acknowledged = children.flatMap((child) => child.lines());
    const store = openStore(folder.path);
    const nodes = store.graph.nodes("run_a");
    expect(nodes).toHaveLength(300);
    expect(new Set(nodes.map((node) => `${node.id} ${node.step}`))).toEqual(new Set(acknowledged));
    expect(nodes.map((node) => node.step)).toEqual([...Array(300).keys()]);
    expect(store.graph.countClaims("run_a")).toBe(300);
    expect(store.graph.countOpenClaims("run_a")).toBe(0);
    // Several had a share in them, or this test shows nothing.
    expect(children.filter((child) => child.lines().length > 0).length).toBeGreaterThan(1);
    store.close();
  });

  it("are killed in the middle of submitting, ten times: all that was acknowledged is there", async () => {
    using folder = new Folder();
    prepare(folder.path);
    const acknowledged: string[] = [];
    for (let round = 0; round < 10; round += 1) {
      const children = ["x", "y"].map((name) => start("submitter.ts", folder.path, `${name}${round}`));
      while (children.some((child) => child.lines().length < 3)) {
        expect(children.map((child) => child.stderr())).toEqual(["", ""]);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
      for (const child of children) child.process.kill("SIGKILL");
      await Promise.all(children.map((child) => child.ended));
      acknowledged.push(...children.flatMap((child) => child.lines()));

      const store = openStore(folder.path);
      const nodes = store.graph.nodes("run_a");
      const present = new Set(nodes.map((node) => `${node.id} ${node.step}`));
      expect(acknowledged.filter((line) => !present.has(line))).toEqual([]);
      expect(nodes.map((node) => node.step)).toEqual([...nodes.keys()]);
      // Nothing is half there: source, edges and claim came with the node.
      for (const node of nodes) {
        expect(store.graph.source(node.candidate)).toContain(node.id.replace("node_", ""));
        expect(store.graph.claim(node.claim ?? "")).toMatchObject({ state: "submitted", node: node.id });
        expect(store.graph.ancestors(node.id, 1).map((parent) => parent.id)).toEqual(node.parents);
      }
      store.close();
    }
    expect(acknowledged.length).toBeGreaterThan(60);
    expect(readdirSync(folder.path).sort()).toEqual(["artifacts", "state.db"]);
  });
});
