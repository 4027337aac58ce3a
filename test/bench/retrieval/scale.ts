/**
 * The index at the size of many manuals: LLVM's pages again and again, with other numbers and mnemonics. Build, size, warm queries
 * through the service and through the MCP tool, opening in a new process, and what the vector indexes find of the true neighbours.
 * All of it for the default embedder, and again for a learned one with dense vectors.
 */
import { execFileSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { stringify } from "yaml";
import { z } from "zod";
import type { KnowledgeQuery } from "../../../src/domain/index.ts";
import { chooseEmbedder } from "../../../src/knowledge/dense/choose.ts";
import { IndexStore } from "../../../src/knowledge/index/store.ts";
import { cutIntoParts } from "../../../src/knowledge/ingest/parts.ts";
import { splitMarkdown } from "../../../src/knowledge/sections/markdown.ts";
import { Knowledge } from "../../../src/knowledge/service.ts";
import { packageRoot } from "../../../src/platform/paths.ts";
import { Targets } from "../../../src/targets/index.ts";
import { median, printTable, saveResult } from "../table.ts";
import { llvmPages, type Page } from "./corpus-llvm.ts";
import { quantile } from "./metrics.ts";
import { context } from "./ours.ts";
import { type LabelledQuery, loadQueries } from "./queries.ts";
import { indexRecall, type Recall } from "./recall.ts";
import { writeStaticModel } from "./static-model.ts";

const SIZES = [10_000, 100_000];
const ROUNDS = 5;
const COLD_STARTS = 5;
const TARGETS_MS = { p99: 60, cold: 300 };

/** The same for a text and a copy, and well spread. */
function spread(text: string, copy: number): number {
  let hash = copy;
  for (let at = 0; at < text.length; at += 1) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) >>> 0;
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0;
}

/** Other numbers of two digits and more, and one mnemonic in eight of another generation. */
function changed(text: string, copy: number): string {
  if (copy === 0) return text;
  return text
    .replace(/\b[a-z]\w*_\w+/g, (name) =>
      spread(name, copy) % 8 === 0 ? name.replace("_", `${(copy % 30) + 12}_`) : name,
    )
    .replace(/\b\d{2,6}\b/g, (digits) => String((Number(digits) * 7 + copy * 13) % 10 ** digits.length));
}

/** Manuals of the pages, cut as `knowledge_add` cuts long ones, until there are `wanted` sections. */
function writeManuals(folder: string, pages: readonly Page[], wanted: number): number {
  let sections = 0;
  for (let copy = 0; sections < wanted; copy += 1) {
    for (const target of ["amd", "nvidia"] as const) {
      const whole = pages
        .filter((page) => page.target === target)
        .map((page) => changed(page.markdown, copy))
        .join("\n\n");
      const title = `${target === "amd" ? "AMDGPU" : "NVPTX"} manual, revision ${copy + 1}`;
      for (const [at, part] of cutIntoParts(whole).entries()) {
        if (sections >= wanted) break;
        const matter = { title, target, kind: "isa", topics: ["manual"], part: `${at + 1}` };
        const place = join(folder, target, `revision-${copy + 1}`);
        mkdirSync(place, { recursive: true });
        writeFileSync(
          join(place, `${String(at + 1).padStart(3, "0")}.md`),
          `---\n${stringify(matter)}---\n\n${part.trim()}\n`,
        );
        sections += splitMarkdown(part, title).length;
      }
    }
  }
  return sections;
}

/** What ships, at rest: others may be writing documents while this runs. */
function snapshot(folder: string): string {
  const root = join(folder, "package");
  for (const part of ["src", "hardware-docs", "knowledge", "package.json"]) {
    cpSync(join(packageRoot, part), join(root, part), { recursive: true });
  }
  symlinkSync(join(packageRoot, "node_modules"), join(root, "node_modules"));
  return root;
}

function rootsOf(root: string) {
  return [
    { path: join(root, "hardware-docs"), layout: "targets" as const, trusted: true },
    { path: join(root, "knowledge"), layout: "general" as const, trusted: true },
  ];
}

function bytesOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

interface Times {
  readonly asked: string;
  readonly times: number[];
  /** Processor time of the answering thread: what stays when others use the machine; empty when it cannot be told. */
  readonly processor: number[];
}

/** Processor time of a process's first thread, in milliseconds; undefined where /proc does not tell. */
function threadTime(pid: number): number | undefined {
  try {
    const [nanoseconds = ""] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ");
    return Number(nanoseconds) / 1e6;
  } catch {
    return undefined;
  }
}

function timesRow({ asked, times, processor }: Times, through: string): Row {
  return {
    through,
    asked,
    queries: times.length,
    p50_ms: Number(quantile(times, 0.5).toFixed(1)),
    p99_ms: Number(quantile(times, 0.99).toFixed(1)),
    max_ms: Number(Math.max(...times).toFixed(1)),
    ...(processor.length === 0
      ? {}
      : {
          processor_p50_ms: Number(quantile(processor, 0.5).toFixed(1)),
          processor_p99_ms: Number(quantile(processor, 0.99).toFixed(1)),
        }),
  };
}
type Row = Record<string, string | number>;

const FORMS: readonly [string, (query: LabelledQuery) => KnowledgeQuery][] = [
  ["one phrasing", ({ query }) => ({ query })],
  ["with alternatives", ({ query, alternatives }) => ({ query, alternatives })],
  [
    "with alternatives and target",
    ({ query, alternatives, target }) => ({
      query,
      alternatives,
      ...(target === undefined ? {} : { target }),
    }),
  ],
];

/** Every form, each query once for the first time and then in rounds. */
async function timed(
  pid: number,
  queries: readonly LabelledQuery[],
  ask: (query: KnowledgeQuery) => Promise<void>,
): Promise<Times[]> {
  const result: Times[] = [];
  for (const [asked, form] of FORMS) {
    const first: Times = { asked: `${asked}, first time`, times: [], processor: [] };
    const again: Times = { asked, times: [], processor: [] };
    for (let round = 0; round <= ROUNDS; round += 1) {
      const { times, processor } = round === 0 ? first : again;
      for (const query of queries) {
        const before = threadTime(pid);
        const started = performance.now();
        await ask(form(query));
        times.push(performance.now() - started);
        const after = threadTime(pid);
        if (before !== undefined && after !== undefined) processor.push(after - before);
      }
    }
    result.push(first, again);
  }
  return result;
}

/** The environment of a process with this embedder. */
function environmentOf(embedder: string): Record<string, string> {
  const env = Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  return { ...env, KERNELEVOLVE_EMBEDDER: embedder };
}

interface Installed {
  readonly home: string;
  readonly root: string;
  /** As KERNELEVOLVE_EMBEDDER names it. */
  readonly embedder: string;
}

/** Through a server as a client starts it. */
async function overMcp(
  { home, root, embedder }: Installed,
  queries: readonly LabelledQuery[],
): Promise<Times[]> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [join(root, "src", "main.ts"), "serve"],
    cwd: home,
    env: { ...environmentOf(embedder), KERNELEVOLVE_HOME: home },
    stderr: "ignore",
  });
  const client = new Client({ name: "bench", version: "1" });
  await client.connect(transport);
  const ask = async (query: KnowledgeQuery): Promise<void> => {
    const result = await client.callTool(
      { name: "knowledge_search", arguments: { ...query } },
      { timeout: 600_000 },
    );
    if (result.isError === true) throw new Error(JSON.stringify(result.content).slice(0, 500));
  };
  try {
    const started = performance.now();
    await ask({ query: "wavefront" });
    const first = performance.now() - started;
    const cold = { asked: "first call of the server", times: [first], processor: [] };
    return [cold, ...(await timed(transport.pid ?? 0, queries, ask))];
  } finally {
    await client.close();
  }
}

const coldSchema = z.object({ opened: z.number(), answered: z.number(), rss_mib: z.number() });

function coldOpen({ home, root, embedder }: Installed): z.infer<typeof coldSchema> {
  const runs = Array.from({ length: COLD_STARTS }, () =>
    coldSchema.parse(
      JSON.parse(
        execFileSync(process.execPath, [join(import.meta.dirname, "open.ts"), home, root], {
          encoding: "utf8",
          env: environmentOf(embedder),
          stdio: ["ignore", "pipe", "ignore"],
        }),
      ),
    ),
  );
  return {
    opened: Number(median(runs.map((one) => one.opened)).toFixed(1)),
    answered: Number(median(runs.map((one) => one.answered)).toFixed(1)),
    rss_mib: median(runs.map((one) => one.rss_mib)),
  };
}

interface Measured {
  readonly sizes: Row;
  readonly queries: Row[];
  readonly recall: (Recall & Row)[];
}

/** The manual's text, from which the model of dense vectors learns. */
function learn(pages: readonly Page[], folder: string): string {
  writeStaticModel(
    folder,
    pages.map((page) => page.markdown),
  );
  return `model2vec:${folder}`;
}

async function measure(installed: Installed): Promise<Measured> {
  const { home, root, embedder } = installed;
  const targets = new Targets({ folders: [join(root, "hardware-docs")] });
  const source = chooseEmbedder({ KERNELEVOLVE_EMBEDDER: embedder });
  const knowledge = new Knowledge({
    home,
    roots: rootsOf(root),
    targets: () => targets.list(),
    embedder: source,
  });
  const queries = loadQueries("queries-llvm.json");
  const status = await knowledge.rebuild({ full: true }, context);
  const { sections } = status;
  const [name = ""] = embedder.split(":");
  const about = { sections, embedder: name };
  process.stderr.write(`${sections} sections built with ${name} in ${status.build_seconds} s\n`);
  const service = await timed(process.pid, queries, async (query) => {
    await knowledge.search(query, context);
  });
  await knowledge.close();
  const cold = coldOpen(installed);
  const mcp = await overMcp(installed, queries);
  const store = new IndexStore({
    folder: join(home, "index"),
    roots: [],
    specs: async () => [],
    vectors: { source, kind: "auto" },
  });
  const reader = store.current();
  if (reader === undefined) throw new Error("the index cannot be opened again");
  const recall = await indexRecall(reader, source, queries);
  await store.close();
  return {
    sizes: {
      ...about,
      documents: status.documents,
      vectors: status.vectors,
      dimension: reader.manifest.embedder.dimension,
      build_s: status.build_seconds,
      index_mib: Math.round(bytesOf(join(home, "index")) / 2 ** 20),
      text_mib: Math.round(bytesOf(join(home, "documents")) / 2 ** 20),
      open_ms: cold.opened,
      cold_answer_ms: cold.answered,
      rss_mib: cold.rss_mib,
    },
    queries: [
      ...service.map((times) => ({ ...about, ...timesRow(times, "service") })),
      ...mcp.map((times) => ({ ...about, ...timesRow(times, "MCP tool") })),
    ],
    recall: recall.map((one) => ({ ...about, ...one })),
  };
}

/** What ships, as the first search of a new installation builds it. */
async function shipped(folder: string): Promise<Row> {
  const root = snapshot(join(folder, "shipped"));
  const targets = new Targets({ folders: [join(root, "hardware-docs")] });
  const knowledge = new Knowledge({
    home: join(folder, "home-shipped"),
    roots: rootsOf(root),
    targets: () => targets.list(),
  });
  const started = performance.now();
  await knowledge.search({ query: "shared memory bank conflicts" }, context);
  const answered = (performance.now() - started) / 1000;
  const status = await knowledge.status();
  await knowledge.close();
  return {
    documents: status?.documents ?? 0,
    sections: status?.sections ?? 0,
    first_answer_s: Number(answered.toFixed(2)),
  };
}

const folder = mkdtempSync(join(tmpdir(), "kernelevolve-scale-"));
try {
  const pages = await llvmPages();
  const own = await shipped(folder);
  printTable("Index of what ships, built by the first search", [own]);
  const wanted = process.argv.slice(2).map(Number);
  const dense = learn(pages, join(folder, "model"));
  const measured: Measured[] = [];
  for (const size of wanted.length > 0 ? wanted : SIZES) {
    const home = join(folder, `home-${size}`);
    const root = snapshot(join(folder, `snapshot-${size}`));
    writeManuals(join(home, "documents"), pages, size);
    for (const embedder of ["concept-hash", dense]) {
      measured.push(await measure({ home, root, embedder }));
    }
    rmSync(home, { recursive: true, force: true });
  }
  printTable(
    "Index of repeated manuals",
    measured.map((one) => one.sizes),
  );
  const rows = measured.flatMap((one) => one.queries);
  printTable(
    `Warm queries (goal: p99 below ${TARGETS_MS.p99} ms, cold open below ${TARGETS_MS.cold} ms)`,
    rows,
  );
  const recall = measured.flatMap((one) => one.recall);
  printTable("Found of the ten nearest vectors (goal: 0.99), and how long one vector takes", recall);
  if (wanted.length === 0) {
    saveResult("retrieval-scale", {
      load: loadavg().map((value) => Number(value.toFixed(2))),
      shipped: own,
      sizes: measured.map((one) => one.sizes),
      queries: rows,
      recall,
    });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
