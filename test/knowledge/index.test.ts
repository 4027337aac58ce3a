import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { KernelEvolveError, type TargetSpec } from "../../src/domain/index.ts";
import { conceptHash } from "../../src/knowledge/dense/concept-hash.ts";
import type { EmbedderSource } from "../../src/knowledge/dense/embedder.ts";
import { WriterLock } from "../../src/knowledge/index/lock.ts";
import { IndexReader } from "../../src/knowledge/index/reader.ts";
import { manifestSchema } from "../../src/knowledge/index/schema.ts";
import { Knowledge, type KnowledgeOptions } from "../../src/knowledge/index.ts";
import { document, specsOf, work } from "./library.ts";

let home = "";
let open: Knowledge[] = [];
let specs: TargetSpec[] = [];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "kernelevolve-index-"));
  specs = specsOf({
    nvidia: [],
    "nvidia-hopper": ["nvidia"],
    "nvidia-h200": ["nvidia-hopper", "nvidia"],
    amd: [],
  });
  put(
    "nvidia/banks.md",
    document({
      title: "Banks",
      target: "nvidia",
      body: "## Shared memory\n\nThirty-two banks; {{limits.registers_per_sm}} as well.\n",
    }),
  );
  put(
    "nvidia-h200/hbm.md",
    document({ title: "HBM3e", target: "nvidia-h200", body: "## Stacks\n\nSix stacks of memory.\n" }),
  );
  put(
    "amd/lds.md",
    document({
      title: "LDS",
      target: "amd",
      body: "## Banks of the LDS\n\nThe local data share has banks.\n",
    }),
  );
});
afterEach(async () => {
  await Promise.all(open.map((one) => one.close()));
  open = [];
  rmSync(home, { recursive: true, force: true });
});

function put(name: string, text: string): string {
  const file = join(home, "docs", name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  // Another moment, however coarse the clock of the file system is.
  utimesSync(file, new Date(), new Date(Date.now() - Math.floor(Math.random() * 1e9)));
  return file;
}

function knowledge(options: Partial<KnowledgeOptions> = {}): Knowledge {
  const made = new Knowledge({
    home: join(home, "data"),
    roots: [{ path: join(home, "docs"), layout: "targets", trusted: true }],
    targets: async () => specs,
    embedder: conceptHash(),
    ...options,
  });
  open.push(made);
  return made;
}

const index = (): string => join(home, "data", "index");
const generation = (): string => join(index(), readFileSync(join(index(), "CURRENT"), "utf8").trim());
async function found(of: Knowledge, query: string, target?: string): Promise<string[]> {
  const result = await of.search({ query, ...(target === undefined ? {} : { target }) }, work());
  return result.hits.map((hit) => hit.document);
}

describe("building", () => {
  test("happens on first use, with progress, and numbers are filled in", async () => {
    const messages: string[] = [];
    const result = await knowledge().search(
      { query: "shared memory banks" },
      { signal: new AbortController().signal, report: (update) => messages.push(update.message) },
    );
    expect(result.hits[0]?.passage).toContain("65,536 registers");
    expect(messages.some((message) => message.startsWith("embedding sections"))).toBe(true);
  });

  test("only what changed is read again; what is gone is gone", async () => {
    const one = knowledge();
    await one.rebuild({}, work());
    put(
      "amd/lds.md",
      document({ title: "LDS", target: "amd", body: "## Banks of the LDS\n\nNow it says zebra.\n" }),
    );
    put(
      "amd/new.md",
      document({ title: "New", target: "amd", body: "## Waves\n\nWavefronts of sixty-four.\n" }),
    );
    rmSync(join(home, "docs/nvidia-h200/hbm.md"));
    const status = await one.rebuild({}, work());
    expect(status.changed).toEqual({ read: 2, kept: 1, dropped: 1 });
    expect(await found(one, "zebra")).toContain("hardware-docs/amd/lds");
    expect(await found(one, "stacks of memory")).not.toContain("hardware-docs/nvidia-h200/hbm");
    expect(status.documents).toBe(3);
  });

  test("a touched file with the same text is kept, a changed number is not", async () => {
    const one = knowledge();
    await one.rebuild({}, work());
    const file = join(home, "docs/amd/lds.md");
    utimesSync(file, new Date(), new Date(Date.now() + 5000));
    expect((await one.rebuild({}, work())).changed).toEqual({ read: 0, kept: 3, dropped: 0 });
    specs = specs.map((spec) =>
      spec.id === "nvidia"
        ? { ...spec, limits: { registers_per_sm: { value: 131072, unit: "registers", source: "x" } } }
        : spec,
    );
    expect((await one.rebuild({}, work())).changed).toEqual({ read: 1, kept: 2, dropped: 0 });
    expect((await one.search({ query: "shared memory" }, work())).hits[0]?.passage).toContain("131,072");
  });

  test("an update gives the same answers as a build from nothing", async () => {
    const one = knowledge();
    await one.rebuild({}, work());
    for (let n = 0; n < 8; n += 1) {
      put(
        `amd/d${n}.md`,
        document({
          title: `D${n}`,
          target: "amd",
          body: `## S${n}\n\nWavefront number ${n} of lane_${n}_b32 and memory.\n`,
        }),
      );
      await one.rebuild({}, work());
    }
    rmSync(join(home, "docs/amd/d3.md"));
    const updated = await one.rebuild({}, work());
    const ask = async (): Promise<unknown> => {
      const result = await one.search({ query: "wavefront lane_5_b32 memory" }, work());
      return result.hits.map((hit) => hit.id).sort();
    };
    const before = await ask();
    const whole = await one.rebuild({ full: true }, work());
    expect(await ask()).toEqual(before);
    expect([whole.documents, whole.sections]).toEqual([updated.documents, updated.sections]);
  });

  test("a document that cannot be read is told and left out, the others stay", async () => {
    put("amd/broken.md", "# no front matter\n");
    writeFileSync(join(home, "docs/amd/binary.md"), Buffer.from([0x2d, 0x2d, 0x2d, 0, 1, 2]));
    const status = await knowledge().rebuild({}, work());
    expect(status.documents).toBe(3);
    expect(status.problems.map((problem) => problem.message).join("\n")).toMatch(
      /broken\.md:1: must begin with front matter/,
    );
    expect(status.problems.map((problem) => problem.message).join("\n")).toMatch(/binary\.md is binary/);
  });

  test("no documents at all: an empty index that says so", async () => {
    rmSync(join(home, "docs"), { recursive: true });
    const result = await knowledge().search({ query: "anything" }, work());
    expect(result.hits).toEqual([]);
    expect(result.notes.join()).toContain("no documents were found");
  });

  test("the graph can be chosen, is kept up to date, and answers like the scan", async () => {
    for (let n = 0; n < 60; n += 1) {
      put(
        `amd/g${n}.md`,
        document({
          title: `G${n}`,
          target: "amd",
          body: `## Topic ${n}\n\nText about matter ${n % 7} and cache_${n} lines.\n`,
        }),
      );
    }
    const graph = knowledge({ vectors: "hnsw" });
    expect((await graph.rebuild({}, work())).vectors).toBe("hnsw");
    rmSync(join(home, "docs/amd/g7.md"));
    put(
      "amd/g60.md",
      document({
        title: "G60",
        target: "amd",
        body: "## Topic 60\n\nText about matter 4 and cache_60 lines.\n",
      }),
    );
    expect((await graph.rebuild({}, work())).vectors).toBe("hnsw");
    const scan = knowledge({ home: join(home, "other"), vectors: "exact" });
    for (const query of ["cache_60 lines", "matter 3", "topic about memory"]) {
      const first = await graph.search({ query, limit: 3 }, work());
      expect(first.hits.map((hit) => hit.id)).toEqual(
        (await scan.search({ query, limit: 3 }, work())).hits.map((hit) => hit.id),
      );
      expect(first.dense).toBe(true);
      expect(first.hits.map((hit) => hit.document)).not.toContain("hardware-docs/amd/g7");
    }
  });
});

function readerOf(folder: string): IndexReader {
  const manifest = manifestSchema.parse(JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")));
  return new IndexReader(folder, manifest);
}

describe("columns", () => {
  test("are what sparse questions get, answer as rows do, and are made of rows without embedding again", async () => {
    const rows = knowledge({ vectors: "exact" });
    expect((await rows.rebuild({}, work())).vectors).toBe("exact");
    const queries = ["shared memory banks", "banks of the LDS", "ldmatrix"];
    const answers = async (one: Knowledge): Promise<string[][]> => {
      const all: string[][] = [];
      for (const query of queries) {
        all.push((await one.search({ query }, work())).hits.map(({ id }) => id));
      }
      return all;
    };
    const before = await answers(rows);
    expect((await rows.status())?.embedder).toMatch(/^concept-hash/);
    const columns = knowledge();
    expect(await answers(columns)).toEqual(before);
    const status = await columns.status();
    expect(status?.vectors).toBe("columns");
    expect(status?.changed.read).toBe(0);
    expect(readdirSync(generation()).filter((name) => name.startsWith("vectors."))).toEqual([
      "vectors.col",
      "vectors.col.json",
    ]);
    expect(await answers(knowledge({ vectors: "exact" }))).toEqual(before);
  });
});

describe("damage", () => {
  const damages: Record<string, () => void> = {
    "a truncated database": () => truncateSync(join(generation(), "sections.db"), 3000),
    "a changed database": () => {
      const file = join(generation(), "sections.db");
      const bytes = readFileSync(file);
      bytes.fill(0x5a, 4096, 9000);
      writeFileSync(file, bytes);
      utimesSync(file, 1, 1);
    },
    "another program's database": () => {
      const file = join(generation(), "sections.db");
      rmSync(file);
      const db = new DatabaseSync(file);
      db.exec("CREATE TABLE x (y)");
      db.close();
    },
    "a manifest of garbage": () => writeFileSync(join(generation(), "manifest.json"), '{"format":'),
    "a manifest of another format": () => {
      const file = join(generation(), "manifest.json");
      writeFileSync(file, readFileSync(file, "utf8").replace("kernelevolve-index/1", "kernelevolve-index/0"));
    },
    "vectors of another length": () => truncateSync(join(generation(), "vectors.col"), 100),
    "missing vectors": () => rmSync(join(generation(), "vectors.col")),
    "vectors without their manifest, as a killed process leaves them": () =>
      rmSync(join(generation(), "vectors.col.json")),
    "changed vectors of the same length and time": () => {
      const file = join(generation(), "vectors.col");
      const { atime, mtime } = statSync(file);
      const bytes = readFileSync(file);
      for (let at = 12; at < bytes.length; at += 4) bytes.writeFloatLE(0.5, at);
      writeFileSync(file, bytes);
      utimesSync(file, atime, mtime);
    },
    "vectors of another embedder": () => {
      const file = join(generation(), "vectors.col.json");
      writeFileSync(file, readFileSync(file, "utf8").replace("concept-hash", "concept-hush"));
    },
    "a changed state of the embedder": () => writeFileSync(join(generation(), "embedder.bin"), "xx"),
    "a pointer to nowhere": () => writeFileSync(join(index(), "CURRENT"), "gen-none-000000\n"),
    "a pointer out of the folder": () => writeFileSync(join(index(), "CURRENT"), "../../docs\n"),
    "a missing pointer": () => rmSync(join(index(), "CURRENT")),
    "a lock file of garbage": () => writeFileSync(join(index(), "writer.lock"), "x".repeat(5000)),
    "a half-written generation beside it": () => {
      mkdirSync(join(index(), "gen-zzz-000000"));
      writeFileSync(join(index(), "gen-zzz-000000", "sections.db"), "half");
    },
  };
  for (const [name, damage] of Object.entries(damages)) {
    test(`${name} is noticed and made good`, async () => {
      await knowledge().rebuild({}, work());
      damage();
      const one = knowledge();
      const result = await one.search({ query: "shared memory banks", target: "nvidia" }, work());
      expect(result.hits[0]?.document).toBe("hardware-docs/nvidia/banks");
      expect(result.dense).toBe(true);
      expect((await one.rebuild({}, work())).documents).toBe(3);
    });
  }

  for (const [name, damage] of [
    ["truncated", (file: string) => truncateSync(file, 100)],
    ["missing", (file: string) => rmSync(file)],
  ] as const) {
    test(`rows of vectors that are ${name} are noticed and made good`, async () => {
      expect((await knowledge({ vectors: "exact" }).rebuild({}, work())).vectors).toBe("exact");
      damage(join(generation(), "vectors.f32"));
      const result = await knowledge({ vectors: "exact" }).search({ query: "shared memory banks" }, work());
      expect(result.hits[0]?.document).toBe("hardware-docs/nvidia/banks");
      expect(result.dense).toBe(true);
    });
  }

  test("an open index whose file is changed under it answers rightly or is made anew, never wrongly", async () => {
    const one = knowledge();
    expect(await found(one, "banks of the LDS")).toContain("hardware-docs/amd/lds");
    const file = join(generation(), "sections.db");
    const size = readFileSync(file).length;
    writeFileSync(file, Buffer.alloc(size, 0x41));
    expect(await found(one, "banks of the LDS")).toContain("hardware-docs/amd/lds");
    expect(await found(knowledge(), "banks of the LDS")).toContain("hardware-docs/amd/lds");
  });

  test("leftovers of killed builds go away", async () => {
    const one = knowledge();
    await one.rebuild({}, work());
    mkdirSync(join(index(), "gen-aaa-000000"));
    for (let n = 0; n < 4; n += 1) await one.rebuild({}, work());
    const left = readdirSync(index()).filter((name) => name.startsWith("gen-"));
    expect(left.length).toBeLessThanOrEqual(3);
    expect(left).not.toContain("gen-aaa-000000");
  });
});

describe("several at once", () => {
  test("one writer at a time; the old index answers meanwhile and says so", async () => {
    const one = knowledge();
    await one.rebuild({}, work());
    const lock = WriterLock.take(index());
    expect(lock).toBeDefined();
    expect(WriterLock.take(index())).toBeUndefined();
    try {
      put("amd/later.md", document({ title: "Later", target: "amd", body: "## Later\n\nquokka\n" }));
      const other = knowledge();
      const result = await other.search({ query: "shared memory banks" }, work());
      expect(result.hits.length).toBeGreaterThan(0);
      expect(result.notes[0]).toContain("being brought up to date");
      await expect(other.rebuild({}, work())).rejects.toMatchObject({ code: "conflict" });
    } finally {
      lock?.release();
    }
    expect(await found(knowledge(), "quokka")).toContain("hardware-docs/amd/later");
  });

  test("two that find no index build it once, and both answer", async () => {
    const both = [knowledge(), knowledge(), knowledge()];
    const answers = await Promise.all(both.map((one) => found(one, "banks of the LDS")));
    for (const answer of answers) expect(answer).toContain("hardware-docs/amd/lds");
    expect(readdirSync(index()).filter((name) => name.startsWith("gen-")).length).toBe(1);
  });

  test("what one process builds, another that is open sees", async () => {
    const [first, second] = [knowledge(), knowledge()];
    await found(first, "banks");
    await found(second, "banks");
    put("amd/later.md", document({ title: "Later", target: "amd", body: "## Later\n\nwombat\n" }));
    await first.rebuild({}, work());
    expect(await found(second, "wombat")).toContain("hardware-docs/amd/later");
  });

  test("an answer that is under way when the next generation comes still has its own", async () => {
    const one = knowledge();
    await one.rebuild({}, work());
    const reader = readerOf(generation());
    let go = (): void => undefined;
    const waiting = new Promise<void>((resolve) => {
      go = resolve;
    });
    const answer = reader.use(async () => {
      await waiting;
      return reader.frequency("banks");
    });
    reader.close();
    expect(reader.closed).toBe(true);
    go();
    expect(await answer).toBe(2);
    expect(() => reader.frequency("memory")).toThrow();
  });

  test("a cancelled build leaves the old index", async () => {
    const one = knowledge();
    await one.rebuild({}, work());
    const before = generation();
    const controller = new AbortController();
    const context = { signal: controller.signal, report: () => controller.abort() };
    await expect(one.rebuild({ full: true }, context)).rejects.toThrow();
    expect(generation()).toBe(before);
    expect(readdirSync(index()).filter((name) => name.startsWith("gen-"))).toHaveLength(1);
    expect(await found(one, "banks")).not.toEqual([]);
  });
});

describe("embedders", () => {
  function failing(when: { open?: boolean; query?: boolean }): EmbedderSource {
    return {
      name: "service",
      fitted: false,
      fit: () => new Uint8Array(),
      open: async () => {
        if (when.open === true)
          throw new KernelEvolveError("infrastructure", "embedder service: 401 bad key", {
            fix: "check the key",
          });
        return {
          id: "service:2",
          dimension: 2,
          embed: async (texts, purpose) => {
            if (purpose === "query" && when.query === true)
              throw new KernelEvolveError("infrastructure", "embedder service: connection refused");
            return texts.map((text) => Float32Array.from([1, text.length % 2]));
          },
        };
      },
    };
  }

  test("another one means another index, by itself", async () => {
    await found(knowledge(), "banks");
    const result = await knowledge({ embedder: failing({}) }).search({ query: "banks" }, work());
    expect(result.embedder).toBe("service:2");
    expect(result.dense).toBe(true);
  });

  test("one that cannot be opened leaves an index of words that says why", async () => {
    const one = knowledge({ embedder: failing({ open: true }) });
    const result = await one.search({ query: "banks of the LDS" }, work());
    expect(result.hits[0]?.document).toBe("hardware-docs/amd/lds");
    expect(result.dense).toBe(false);
    expect(result.notes.join()).toMatch(/only words were searched: .*401 bad key.*check the key/);
    expect((await one.status())?.vectors).toBe("none");
  });

  test("one that dies later falls back to words and says so", async () => {
    const broken: { query?: boolean } = {};
    const one = knowledge({ embedder: failing(broken) });
    expect((await one.search({ query: "banks" }, work())).dense).toBe(true);
    broken.query = true;
    const result = await one.search({ query: "banks" }, work());
    expect(result.dense).toBe(false);
    expect(result.hits.length).toBeGreaterThan(0);
    expect(result.notes.join()).toContain("connection refused");
  });
});

test("status tells without building, and what is out of date", async () => {
  const one = knowledge();
  expect(await one.status()).toBeNull();
  expect(existsSync(index())).toBe(false);
  await one.rebuild({}, work());
  expect((await one.status())?.notes).toEqual([]);
  put("amd/x.md", document({ title: "X", target: "amd", body: "## X\n\nx\n" }));
  expect((await one.status())?.notes.join()).toContain("out of date: hardware-docs/amd/x is new");
});
