/**
 * The index at the size of many manuals: LLVM's pages again and again, with other numbers and mnemonics. Build, size, warm queries
 * through the service and through the MCP tool, opening in a new process, and what the graph finds of the true neighbours.
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
import type { KnowledgeQuery, KnowledgeStatus } from "../../../src/domain/index.ts";
import { chooseEmbedder } from "../../../src/knowledge/dense/choose.ts";
import { HnswIndex } from "../../../src/knowledge/dense/hnsw.ts";
import type { IndexReader } from "../../../src/knowledge/index/reader.ts";
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

const SIZES = [10_000, 100_000];
const ROUNDS = 5;
const COLD_STARTS = 5;
const NEIGHBOURS = 10;
const SECTIONS_ASKED = 300;
/** A neighbour as near as the tenth is as good: copies have many equals. */
const EQUAL = 1e-6;
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

function timesRow({ asked, times, processor }: Times, through: string, sections: number): Row {
  return {
    sections,
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

/** Through a server as a client starts it. */
async function overMcp(home: string, root: string, queries: readonly LabelledQuery[]): Promise<Times[]> {
  const env = Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [join(root, "src", "main.ts"), "serve"],
    cwd: home,
    env: { ...env, KERNELEVOLVE_HOME: home },
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

interface Recall {
  /** Of phrasings of questions, and of sections taken as questions. */
  readonly questions: number;
  readonly sections: number;
  readonly asked: number;
  readonly graph_seconds: number;
  readonly exact_p50_ms: number;
  readonly graph_p50_ms: number;
}

/** Share of the ten nearest that the graph finds. */
async function graphRecall(reader: IndexReader, queries: readonly LabelledQuery[]): Promise<Recall> {
  const exact = reader.exact();
  const { dimension, id } = reader.manifest.embedder;
  const started = performance.now();
  let graph: HnswIndex;
  if (reader.manifest.vectors === "hnsw") graph = await reader.graph();
  else {
    graph = await HnswIndex.create({ embedder: id, dimension, capacity: exact.count });
    for (const [row, label] of exact.labels.entries()) {
      graph.add(label, exact.vectors.subarray(row * dimension, (row + 1) * dimension));
    }
  }
  const graph_seconds = (performance.now() - started) / 1000;
  const source = chooseEmbedder({});
  const state = readFileSync(join(reader.folder, "embedder.bin"));
  const embedder = await source.open(new Uint8Array(state), context.signal);
  const asked = await embedder.embed(
    queries.flatMap(({ query, alternatives }) => [query, ...alternatives]),
    "query",
    context.signal,
  );
  const sections: Float32Array[] = [];
  const step = Math.max(1, Math.floor(exact.count / SECTIONS_ASKED));
  for (let row = 0; row < exact.count; row += step) {
    sections.push(exact.vectors.slice(row * dimension, (row + 1) * dimension));
  }
  const scans: number[] = [];
  const walks: number[] = [];
  const recallOf = (vectors: readonly Float32Array[]): number => {
    let found = 0;
    let all = 0;
    for (const vector of vectors) {
      const began = performance.now();
      const truth = exact.search(vector, NEIGHBOURS);
      const between = performance.now();
      const got = graph.search(vector, NEIGHBOURS);
      walks.push(performance.now() - between);
      scans.push(between - began);
      const least = (truth.at(-1)?.similarity ?? 1) - EQUAL;
      found += got.filter((one) => one.similarity >= least).length;
      all += truth.length;
    }
    return Number((found / all).toFixed(4));
  };
  return {
    questions: recallOf(asked),
    sections: recallOf(sections),
    asked: asked.length + sections.length,
    graph_seconds: Number(graph_seconds.toFixed(1)),
    exact_p50_ms: Number(median(scans).toFixed(2)),
    graph_p50_ms: Number(median(walks).toFixed(2)),
  };
}

const coldSchema = z.object({ opened: z.number(), answered: z.number(), rss_mib: z.number() });

function coldOpen(home: string, root: string): z.infer<typeof coldSchema> {
  const runs = Array.from({ length: COLD_STARTS }, () =>
    coldSchema.parse(
      JSON.parse(
        execFileSync(process.execPath, [join(import.meta.dirname, "open.ts"), home, root], {
          encoding: "utf8",
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
  readonly status: KnowledgeStatus;
  readonly sizes: Row;
  readonly queries: Row[];
  readonly recall: Recall;
}

async function measure(pages: readonly Page[], wanted: number, folder: string): Promise<Measured> {
  const home = join(folder, `home-${wanted}`);
  const root = snapshot(join(folder, `snapshot-${wanted}`));
  writeManuals(join(home, "documents"), pages, wanted);
  const targets = new Targets({ folders: [join(root, "hardware-docs")] });
  const knowledge = new Knowledge({ home, roots: rootsOf(root), targets: () => targets.list() });
  const queries = loadQueries("queries-llvm.json");
  const status = await knowledge.rebuild({ full: true }, context);
  const n = status.sections;
  process.stderr.write(`${n} sections built in ${status.build_seconds} s\n`);
  const service = await timed(process.pid, queries, async (query) => {
    await knowledge.search(query, context);
  });
  await knowledge.close();
  const cold = coldOpen(home, root);
  const mcp = await overMcp(home, root, queries);
  const store = new IndexStore({
    folder: join(home, "index"),
    roots: [],
    specs: async () => [],
    vectors: { source: chooseEmbedder({}), kind: "auto" },
  });
  const reader = store.current();
  if (reader === undefined) throw new Error("the index cannot be opened again");
  const recall = await graphRecall(reader, queries);
  await store.close();
  return {
    status,
    sizes: {
      sections: n,
      documents: status.documents,
      vectors: status.vectors,
      build_s: status.build_seconds,
      index_mib: Math.round(bytesOf(join(home, "index")) / 2 ** 20),
      text_mib: Math.round(bytesOf(join(home, "documents")) / 2 ** 20),
      open_ms: cold.opened,
      cold_answer_ms: cold.answered,
      rss_mib: cold.rss_mib,
      "graph recall@10, questions": recall.questions,
      "graph recall@10, sections": recall.sections,
      scan_p50_ms: recall.exact_p50_ms,
      graph_p50_ms: recall.graph_p50_ms,
    },
    queries: [
      ...service.map((times) => timesRow(times, "service", n)),
      ...mcp.map((times) => timesRow(times, "MCP tool", n)),
    ],
    recall,
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
  const measured: Measured[] = [];
  for (const size of wanted.length > 0 ? wanted : SIZES) {
    measured.push(await measure(pages, size, folder));
    rmSync(join(folder, `home-${size}`), { recursive: true, force: true });
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
  if (wanted.length === 0) {
    saveResult("retrieval-scale", {
      load: loadavg().map((value) => Number(value.toFixed(2))),
      shipped: own,
      sizes: measured.map((one) => one.sizes),
      queries: rows,
      graph: measured.map((one) => one.recall),
    });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
