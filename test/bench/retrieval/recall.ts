import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { EmbedderSource } from "../../../src/knowledge/dense/embedder.ts";
import type { ExactIndex } from "../../../src/knowledge/dense/exact.ts";
import { HnswIndex } from "../../../src/knowledge/dense/hnsw.ts";
import { LeaderIndex } from "../../../src/knowledge/dense/leaders.ts";
import type { VectorIndex } from "../../../src/knowledge/dense/vector-index.ts";
import type { IndexReader } from "../../../src/knowledge/index/reader.ts";
import { median } from "../table.ts";
import { context } from "./ours.ts";
import type { LabelledQuery } from "./queries.ts";

const NEIGHBOURS = 10;
const SECTIONS_ASKED = 300;
/** A neighbour as near as the tenth is as good: copies have many equals. */
const EQUAL = 1e-6;

/** What one vector index finds of the ten nearest that a scan of all rows finds. */
export interface Recall {
  readonly index: string;
  /** Whether the product searches this index for these vectors. */
  readonly used: string;
  /** Mean recall@10 of phrasings of questions, and of sections taken as questions. */
  readonly "recall@10, questions": number;
  readonly "recall@10, sections": number;
  readonly asked: number;
  readonly p50_ms: number;
}

/** A graph with a point for each vector: what leaders are held against. */
async function plainGraph(rows: ExactIndex): Promise<HnswIndex> {
  const { labels, dimension, count } = rows;
  const graph = await HnswIndex.create({ embedder: "bench", dimension, capacity: count });
  for (const [row, label] of labels.entries()) graph.add(label, rows.row(row));
  return graph;
}

/** Every vector index over the vectors of an index, held against the scan. */
export async function indexRecall(
  reader: IndexReader,
  source: EmbedderSource,
  queries: readonly LabelledQuery[],
): Promise<Recall[]> {
  const exact = reader.exact();
  const { vectors: kind } = reader.manifest;
  const graph = kind === "hnsw" ? await reader.graph() : await LeaderIndex.build(exact, "bench");
  const indexes: { name: string; index: VectorIndex; used: boolean }[] = [
    { name: "scan of rows", index: exact, used: kind === "exact" },
    ...(kind === "columns" ? [{ name: "columns", index: reader.columns(), used: true }] : []),
    { name: `graph of ${graph.leaders} leaders`, index: graph, used: kind === "hnsw" },
    ...(source.sparse === true
      ? []
      : [{ name: "graph of all vectors", index: await plainGraph(exact), used: false }]),
  ];
  const state = new Uint8Array(readFileSync(join(reader.folder, "embedder.bin")));
  const embedder = await source.open(state, context.signal);
  const asked = await embedder.embed(
    queries.flatMap(({ query, alternatives }) => [query, ...alternatives]),
    "query",
    context.signal,
  );
  const sections: Float32Array[] = [];
  const step = Math.max(1, Math.floor(exact.count / SECTIONS_ASKED));
  for (let row = 0; row < exact.count; row += step) {
    sections.push(exact.row(row).slice());
  }
  const truth = (vectors: readonly Float32Array[]) =>
    vectors.map((vector) => ({ vector, nearest: exact.search(vector, NEIGHBOURS) }));
  const questions = truth(asked);
  const taken = truth(sections);
  return indexes.map(({ name, index, used }) => {
    const times: number[] = [];
    const recallOf = (some: ReturnType<typeof truth>): number => {
      let found = 0;
      let all = 0;
      for (const { vector, nearest } of some) {
        const began = performance.now();
        const got = index.search(vector, NEIGHBOURS);
        times.push(performance.now() - began);
        const least = (nearest.at(-1)?.similarity ?? 1) - EQUAL;
        found += got.filter((one) => one.similarity >= least).length;
        all += nearest.length;
      }
      return Number((found / all).toFixed(4));
    };
    const ofQuestions = recallOf(questions);
    const p50_ms = Number(median(times).toFixed(2));
    return {
      index: name,
      used: used ? "yes" : "no",
      "recall@10, questions": ofQuestions,
      "recall@10, sections": recallOf(taken),
      asked: asked.length + sections.length,
      p50_ms,
    };
  });
}
