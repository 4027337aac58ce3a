import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { KernelEvolveError } from "../../src/domain/index.ts";
import { sha256 } from "../../src/platform/hash.ts";
import { Database } from "../../src/store/database.ts";
import { openStore } from "../../src/store/index.ts";
import { MIGRATIONS } from "../../src/store/migrations.ts";
import { Folder, newNode, runOf } from "./fixtures.ts";

const anything = z.record(z.string(), z.unknown());

function failure(work: () => unknown): KernelEvolveError {
  try {
    work();
  } catch (error) {
    if (error instanceof KernelEvolveError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

/** A store with `nodes` nodes of a few kilobytes, closed. Returns the database file. */
function filled(home: string, nodes = 60): string {
  const store = openStore(home);
  store.graph.createRun(runOf("run_a"));
  for (let index = 0; index < nodes; index += 1) {
    store.graph.insertNode(newNode(`n${index}`, "run_a", {}, `int n${index};`.padEnd(4000)));
  }
  store.close();
  return join(home, "state.db");
}

describe("opening a store", () => {
  it("makes a new one, with full durability, a log, and foreign keys", () => {
    using folder = new Folder();
    openStore(join(folder.path, "a", "b")).close();
    const db = new Database(join(folder.path, "a", "b"));
    const seen = new DatabaseSync(db.file);
    expect(seen.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    expect(seen.prepare("PRAGMA user_version").get()).toEqual({ user_version: MIGRATIONS.length });
    seen.close();
    expect(failure(() => db.run("INSERT INTO node_commits VALUES ('nobody', 'x')"))).toMatchObject({
      code: "conflict",
      message: expect.stringContaining("FOREIGN KEY"),
    });
    db.close();
  });

  it("brings every older version up to date without losing a row", () => {
    for (let version = 1; version < MIGRATIONS.length; version += 1) {
      using folder = new Folder();
      const old = new DatabaseSync(join(folder.path, "state.db"));
      for (const sql of MIGRATIONS.slice(0, version)) old.exec(sql);
      old.exec(`PRAGMA user_version = ${version}`);
      const { node, source } = newNode("n1", "run_a");
      old
        .prepare("INSERT INTO runs VALUES (?, ?, 'open', '', NULL)")
        .run("run_a", JSON.stringify(runOf("run_a")));
      old.exec("INSERT INTO activity (run, seconds) VALUES ('run_a', 0)");
      old.prepare("INSERT INTO candidates VALUES (?, ?)").run(node.candidate, source);
      for (const [step, id] of ["n1", "n2"].entries()) {
        old
          .prepare(
            "INSERT INTO nodes VALUES (?, 'run_a', ?, 'agent', ?, '', '', 'passed', 'ok', 1, 0, NULL, 1, ?, '')",
          )
          .run(id, step, node.candidate, JSON.stringify({ ...node, id }));
      }
      old.exec("INSERT INTO node_parents (child, ord, parent) VALUES ('n2', 0, 'n1')");
      old.close();

      const store = openStore(folder.path);
      expect(store.graph.children("n1").map((child) => child.id)).toEqual(["n2"]);
      store.graph.insertNode(newNode("n3", "run_a", { parents: ["n1"] }));
      expect(store.graph.siblings("n3").map((sibling) => sibling.id)).toEqual(["n2"]);
      store.graph.addUsage("run_a", "k", { input_tokens: 2, output_tokens: 1 });
      expect(store.graph.used("run_a")).toEqual({ tokens: 3, cost: 0 });
      store.close();
    }
  });

  it("leaves nothing of a migration that fails half-way", () => {
    using folder = new Folder();
    const file = join(folder.path, "state.db");
    const old = new DatabaseSync(file);
    old.exec(MIGRATIONS[0] ?? "");
    // The second migration adds this column; here it is there already.
    old.exec("ALTER TABLE activity ADD COLUMN beat_ms INTEGER NOT NULL DEFAULT 0; PRAGMA user_version = 1");
    old.close();
    expect(() => openStore(folder.path)).toThrow(/duplicate column/);
    const after = new DatabaseSync(file);
    expect(after.prepare("PRAGMA user_version").get()).toEqual({ user_version: 1 });
    after.close();
  });

  it("refuses a database of a newer version, and says to update", () => {
    using folder = new Folder();
    const file = filled(folder.path, 1);
    const db = new DatabaseSync(file);
    db.exec("PRAGMA user_version = 999");
    db.close();
    const before = sha256(readFileSync(file));
    const error = failure(() => openStore(folder.path));
    expect(error.code).toBe("corrupt");
    expect(error.message).toContain(file);
    expect(error.message).toContain("999");
    expect(error.fix).toContain("update kernelevolve");
    expect(sha256(readFileSync(file))).toBe(before);
  });

  it("refuses the database of another program and does not touch it", () => {
    for (const setUp of [
      "CREATE TABLE nodes (id TEXT)",
      "CREATE TABLE t (a); PRAGMA user_version = 2",
      "PRAGMA application_id = 7",
    ]) {
      using folder = new Folder();
      const file = join(folder.path, "state.db");
      const db = new DatabaseSync(file);
      db.exec(setUp);
      db.close();
      const before = sha256(readFileSync(file));
      const error = failure(() => openStore(folder.path));
      expect(error.code).toBe("corrupt");
      expect(error.message).toContain("another program");
      expect(sha256(readFileSync(file))).toBe(before);
    }
  });

  it("notices a file that is no database, names it, and says what to do with it", () => {
    for (const content of [
      "hello",
      "x".repeat(50_000),
      "SQLite format 3\0",
      `SQLite format 3\0${"\xff".repeat(9000)}`,
    ]) {
      using folder = new Folder();
      const file = join(folder.path, "state.db");
      writeFileSync(file, content, "latin1");
      const error = failure(() => openStore(folder.path));
      expect(error.code).toBe("corrupt");
      expect(error.message).toContain(file);
      expect(error.fix).toContain(`mv '${file}'`);
      expect(readFileSync(file, "latin1")).toBe(content);
    }
  });

  it("notices a database that was cut, at any length", () => {
    using folder = new Folder();
    const file = filled(folder.path);
    const whole = readFileSync(file);
    for (const share of [0.9, 0.5, 0.1]) {
      writeFileSync(file, whole);
      truncateSync(file, Math.floor((whole.length * share) / 4096) * 4096);
      expect(failure(() => openStore(folder.path)).code).toBe("corrupt");
    }
    writeFileSync(file, whole);
    openStore(folder.path).close();
  });

  it("does not take an emptied database for a new one while its folder holds data", async () => {
    using folder = new Folder();
    const file = filled(folder.path);
    const store = openStore(folder.path);
    await store.artifacts.write("text", { name: "a", media_type: "text/plain" });
    store.close();
    truncateSync(file, 0);
    const error = failure(() => openStore(folder.path));
    expect(error.code).toBe("corrupt");
    expect(error.message).toContain("empty");
    expect(statSync(file).size).toBe(0);
  });

  it("does not throw away the log of a database that is missing", () => {
    using folder = new Folder();
    writeFileSync(join(folder.path, "state.db-wal"), "log");
    expect(failure(() => openStore(folder.path)).code).toBe("corrupt");
    expect(readFileSync(join(folder.path, "state.db-wal"), "utf8")).toBe("log");
  });

  it("follows its own advice: after the move the next start is clean and the damaged files are kept", () => {
    using folder = new Folder();
    const file = join(folder.path, "state.db");
    writeFileSync(file, "broken");
    writeFileSync(`${file}-wal`, "log");
    const command = /\((mkdir .+)\)/.exec(failure(() => openStore(folder.path)).fix ?? "")?.[1];
    execFileSync("sh", ["-c", command ?? "false"]);
    openStore(folder.path).close();
    expect(readFileSync(join(`${file}.damaged`, "state.db"), "utf8")).toBe("broken");
    expect(readFileSync(join(`${file}.damaged`, "state.db-wal"), "utf8")).toBe("log");
  });

  it("reports damage inside the file when a query meets it, never a wrong answer", () => {
    using folder = new Folder();
    const file = filled(folder.path, 400);
    const fd = openSync(file, "r+");
    const size = statSync(file).size;
    // Everything but the schema's pages.
    writeSync(fd, Buffer.alloc(Math.floor(size / 2), 0xa5), 0, undefined, Math.floor(size / 3));
    closeSync(fd);
    const store = openStore(folder.path);
    const error = failure(() => store.graph.nodes("run_a"));
    expect(error.code).toBe("corrupt");
    expect(error.message).toContain(file);
    store.close();
  });

  it("names a row that does not fit its schema", () => {
    using folder = new Folder();
    const db = new DatabaseSync(filled(folder.path, 1));
    db.exec("UPDATE runs SET json = '{\"id\":1}'");
    db.close();
    const store = openStore(folder.path);
    expect(failure(() => store.graph.run("run_a"))).toMatchObject({ code: "corrupt" });
    store.close();
  });

  it("says that a folder or file cannot be written", () => {
    using folder = new Folder();
    // Root writes everywhere; another user does not.
    const root = process.getuid?.() === 0;
    chmodSync(folder.path, 0o755);
    const bare = join(folder.path, "bare");
    mkdirSync(bare);
    const home = join(folder.path, "home");
    const file = filled(home, 1);
    if (root) for (const path of [file, home]) chownSync(path, 0, 0);
    chmodSync(file, 0o444);
    chmodSync(home, 0o555);
    chmodSync(bare, 0o555);
    for (const path of [bare, home, join(bare, "below")]) {
      const script = `import { openStore } from ${JSON.stringify(join(import.meta.dirname, "../../src/store/index.ts"))};
        try { openStore(${JSON.stringify(path)}); console.log("opened"); } catch (error) { console.log(JSON.stringify({ code: error.code, message: error.message, fix: error.fix })); }`;
      const result = spawnSync(
        process.execPath,
        ["--input-type=module-typescript", "--disable-warning=ExperimentalWarning", "-e", script],
        {
          encoding: "utf8",
          ...(root ? { uid: 65_534, gid: 65_534 } : {}),
        },
      );
      const told: unknown = JSON.parse(result.stdout || JSON.stringify(result.stderr));
      expect(told).toMatchObject({
        code: "infrastructure",
        message: expect.stringContaining(path),
        fix: expect.stringContaining("permissions"),
      });
    }
    chmodSync(home, 0o755);
    expect(existsSync(join(bare, "below"))).toBe(false);
  });

  it("says that the home is a file", () => {
    using folder = new Folder();
    const file = join(folder.path, "file");
    writeFileSync(file, "");
    expect(failure(() => openStore(file)).code).toBe("infrastructure");
    expect(failure(() => openStore(join(file, "below"))).code).toBe("infrastructure");
  });
});

describe("transactions", () => {
  it("are all or nothing; an inner one fails alone", () => {
    using folder = new Folder();
    const store = openStore(folder.path);
    expect(() =>
      store.graph.atomically(() => {
        store.graph.createRun(runOf("run_gone"));
        throw new Error("stop");
      }),
    ).toThrow("stop");
    store.graph.atomically(() => {
      store.graph.createRun(runOf("run_kept"));
      expect(() =>
        store.graph.atomically(() => {
          store.graph.createRun(runOf("run_inner"));
          throw new Error("inner");
        }),
      ).toThrow("inner");
    });
    expect(store.graph.runs().map((run) => run.id)).toEqual(["run_kept"]);
    store.close();
  });

  it("refuse work that is not done when it returns", () => {
    using folder = new Folder();
    const store = openStore(folder.path);
    expect(() =>
      store.graph.atomically(() => Promise.resolve(store.graph.createRun(runOf("run_a")))),
    ).toThrow("cannot wait");
    expect(store.graph.runs()).toEqual([]);
    store.close();
  });

  it("answer that the disk is full, and go on when it is not", () => {
    using folder = new Folder();
    const db = new Database(folder.path);
    db.get(anything, "PRAGMA max_page_count = 60");
    const fill = (): void => {
      for (let index = 0; index < 100; index += 1)
        db.transaction(() =>
          db.run("INSERT INTO candidates VALUES (?, ?)", String(index), "x".repeat(20_000)),
        );
    };
    const error = failure(fill);
    expect(error.code).toBe("infrastructure");
    expect(error.fix).toContain("free some space");
    db.get(anything, "PRAGMA max_page_count = 100000");
    db.transaction(() => db.run("INSERT INTO candidates VALUES ('after', 'x')"));
    db.close();
  });
});
