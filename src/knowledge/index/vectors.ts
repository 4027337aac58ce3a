import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, KernelEvolveError, type WorkContext } from "../../domain/index.ts";
import { log } from "../../platform/log.ts";
import { writeColumns } from "../dense/columns.ts";
import { type Embedder, type EmbedderSource, vectorFault } from "../dense/embedder.ts";
import { ExactIndex } from "../dense/exact.ts";
import { LeaderIndex } from "../dense/leaders.ts";
import { sealBroken } from "../dense/seal.ts";
import { writeVectors } from "../dense/vector-file.ts";
import type { VectorIndexKind } from "../dense/vector-index.ts";
import type { IndexReader } from "./reader.ts";
import type { IndexWriter } from "./writer.ts";

/** Where the graph begins to win over a scan. */
export const GRAPH_FROM = 50_000;
/** Share of sections that may come or go before a fitted embedder is fitted again. */
const MAX_CHURN = 0.2;
const BATCH = 64;

export interface VectorPlan {
  readonly source: EmbedderSource;
  /** `auto`: columns where questions are sparse; else a scan of rows up to GRAPH_FROM sections, the graph above. */
  readonly kind: "auto" | "exact" | "hnsw";
}

/** The index that a plan means for so many sections. */
export function vectorKind({ source, kind }: VectorPlan, sections: number): VectorIndexKind {
  if (kind !== "auto") return kind;
  if (source.sparse === true) return "columns";
  return sections > GRAPH_FROM ? "hnsw" : "exact";
}

export interface VectorOutcome {
  readonly kind: VectorIndexKind | "none";
  readonly embedder: { name: string; id: string; dimension: number; fitted: number; churn: number };
  readonly error?: string;
  readonly notes: readonly string[];
}

/** Lets other work of this process go on: building must not stop the answers from the old index. */
async function breathe(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
  signal.throwIfAborted();
}

/** The fitted state to go on with, when it still describes the documents. */
function keptState(
  previous: IndexReader | undefined,
  plan: VectorPlan,
  churned: number,
): Uint8Array | undefined {
  if (previous === undefined) return undefined;
  const { embedder, embedder_state, vectors } = previous.manifest;
  if (vectors === "none" || embedder.name !== plan.source.name || embedder_state === undefined)
    return undefined;
  if (embedder.churn + churned > MAX_CHURN * Math.max(1, embedder.fitted)) return undefined;
  const file = join(previous.folder, "embedder.bin");
  return sealBroken(file, embedder_state) === undefined ? new Uint8Array(readFileSync(file)) : undefined;
}

async function fitAll(
  writer: IndexWriter,
  sections: number,
  source: EmbedderSource,
  context: WorkContext,
): Promise<Uint8Array> {
  const fitting = source.fitting?.();
  if (fitting === undefined) return source.fit([]);
  let read = 0;
  for (const { text } of writer.texts()) {
    fitting.add(text);
    read += 1;
    if (read % BATCH !== 0) continue;
    context.report({
      progress: read,
      total: sections,
      message: `counting words, ${read} of ${sections} sections`,
    });
    await breathe(context.signal);
  }
  return fitting.state();
}

/**
 * Embeds the sections of a generation, reusing the vectors of the one before, and writes the vector files.
 * An embedder that fails leaves an index that answers by words, and says why.
 */
export async function buildVectors(
  folder: string,
  writer: IndexWriter,
  previous: IndexReader | undefined,
  plan: VectorPlan,
  churned: number,
  context: WorkContext,
): Promise<VectorOutcome> {
  const { sections } = writer.counts();
  const { name } = plan.source;
  const none = { name, id: name, dimension: 0, fitted: 0, churn: 0 };
  if (sections === 0) return { kind: "none", embedder: none, notes: [] };
  const kept = keptState(previous, plan, churned);
  let embedder: Embedder;
  let index: ExactIndex;
  try {
    const state = kept ?? (await fitAll(writer, sections, plan.source, context));
    embedder = await plan.source.open(state, context.signal);
    index = await embedAll(writer, sections, embedder, reusable(previous, embedder), context);
    // Always there, so that a later build knows that nothing was to be kept.
    writeFileSync(join(folder, "embedder.bin"), state.length === 0 ? "-" : state);
  } catch (error) {
    context.signal.throwIfAborted();
    const fix = error instanceof KernelEvolveError && error.fix !== undefined ? ` (${error.fix})` : "";
    return { kind: "none", embedder: none, error: `${errorMessage(error)}${fix}`, notes: [] };
  }
  const notes: string[] = [];
  let kind = vectorKind(plan, sections);
  if (kind === "columns") {
    await writeColumns(join(folder, "vectors.col"), embedder.id, index, () => breathe(context.signal));
  } else writeVectors(join(folder, "vectors.f32"), embedder.id, index);
  if (kind === "hnsw") {
    try {
      await (await graphOf(index, embedder, previous, context)).save(join(folder, "vectors.hnsw"));
    } catch (error) {
      if (!(error instanceof KernelEvolveError) || error.code !== "missing_tool") throw error;
      kind = "exact";
      notes.push(`vectors are scanned: ${error.message} (${error.fix ?? ""})`);
      log.warn({ error: error.message }, "the vector graph cannot be built");
    }
  }
  const before = previous?.manifest.embedder;
  const fitted = kept === undefined || before === undefined ? sections : before.fitted;
  const churn = kept === undefined || before === undefined ? 0 : before.churn + churned;
  return { kind, embedder: { name, id: embedder.id, dimension: embedder.dimension, fitted, churn }, notes };
}

/** Vectors of the generation before by section id, when the same embedder made them. */
function reusable(previous: IndexReader | undefined, embedder: Embedder): ExactIndex | undefined {
  if (previous === undefined || previous.manifest.vectors === "none") return undefined;
  if (previous.manifest.embedder.id !== embedder.id) return undefined;
  try {
    return previous.exact();
  } catch {
    return undefined;
  }
}

async function embedAll(
  writer: IndexWriter,
  sections: number,
  embedder: Embedder,
  old: ExactIndex | undefined,
  context: WorkContext,
): Promise<ExactIndex> {
  const { dimension } = embedder;
  const labels = new Int32Array(sections);
  const vectors = new Float32Array(sections * dimension);
  const rowOf = new Map<number, number>();
  for (const [row, label] of (old?.labels ?? new Int32Array()).entries()) rowOf.set(label, row);
  let row = 0;
  let batch: { row: number; text: string }[] = [];
  const flush = async (): Promise<void> => {
    const made = await embedder.embed(
      batch.map((one) => one.text),
      "document",
      context.signal,
    );
    for (const [at, { row: to }] of batch.entries()) {
      const vector = made[at] ?? new Float32Array();
      const fault = vectorFault(vector, dimension);
      if (fault !== undefined)
        throw new KernelEvolveError("infrastructure", `embedder ${embedder.id}: a vector ${fault}`);
      vectors.set(vector, to * dimension);
    }
    batch = [];
    context.report({ progress: row, total: sections, message: `embedding sections, ${row} of ${sections}` });
    await breathe(context.signal);
  };
  for (const { id, text } of writer.texts()) {
    labels[row] = id;
    const known = rowOf.get(id);
    if (old !== undefined && known !== undefined) {
      vectors.set(old.vectors.subarray(known * dimension, (known + 1) * dimension), row * dimension);
    } else batch.push({ row, text });
    row += 1;
    if (batch.length >= BATCH) await flush();
  }
  if (batch.length > 0) await flush();
  return new ExactIndex(dimension, labels.subarray(0, row), vectors.subarray(0, row * dimension));
}

/** The graph of the generation before, brought up to date; or a new one. */
async function graphOf(
  index: ExactIndex,
  embedder: Embedder,
  previous: IndexReader | undefined,
  context: WorkContext,
): Promise<LeaderIndex> {
  const about = { embedder: embedder.id, dimension: index.dimension };
  const file = join(previous?.folder ?? "", "vectors.hnsw");
  let before: LeaderIndex | undefined;
  if (previous?.manifest.embedder.id === embedder.id && LeaderIndex.lies(file)) {
    try {
      // Not the reader's own: that one goes on answering.
      before = await LeaderIndex.load(file, about, previous.exact());
    } catch (error) {
      if (error instanceof KernelEvolveError && error.code === "missing_tool") throw error;
    }
  }
  return await LeaderIndex.build(index, embedder.id, before, async (done) => {
    context.report({
      progress: done,
      total: index.count,
      message: `building the vector graph, ${done} of ${index.count}`,
    });
    await breathe(context.signal);
  });
}
