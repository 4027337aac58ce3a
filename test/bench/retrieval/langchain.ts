import { RecursiveCharacterTextSplitter } from "@langchain/textsplitters";
import hnswlib from "hnswlib-node";
import type { Embedder, EmbedderSource } from "../../../src/knowledge/dense/embedder.ts";
import { ExactIndex } from "../../../src/knowledge/dense/exact.ts";
import type { Chunk, PlainDocument } from "./queries.ts";

const BATCH = 64;

/**
 * LangChain's default pipeline: RecursiveCharacterTextSplitter with chunks of 1,000 characters that share 200, and the HNSWLib
 * vector store. The splitter is LangChain's own; the store is written again here over the same hnswlib-node, as
 * @langchain/community would bring hundreds of packages: space "cosine", `initIndex` with the library's defaults (M 16,
 * efConstruction 200), `addPoint` in order, no `setEf` (the library searches with ef 10, or k where that is more), the k nearest in
 * order. The embedder is the one that our index uses, fitted to these chunks.
 */
export class LangChainPipeline {
  readonly #chunks: readonly Chunk[];
  readonly #index: InstanceType<typeof hnswlib.HierarchicalNSW>;
  readonly #exact: ExactIndex;
  readonly #embedder: Embedder;

  private constructor(
    chunks: readonly Chunk[],
    index: InstanceType<typeof hnswlib.HierarchicalNSW>,
    exact: ExactIndex,
    embedder: Embedder,
  ) {
    this.#exact = exact;
    this.#chunks = chunks;
    this.#index = index;
    this.#embedder = embedder;
  }

  static async of(documents: readonly PlainDocument[], source: EmbedderSource): Promise<LangChainPipeline> {
    const splitter = new RecursiveCharacterTextSplitter({ chunkSize: 1000, chunkOverlap: 200 });
    const chunks: Chunk[] = [];
    for (const { name, text } of documents) {
      for (const piece of await splitter.splitText(text)) chunks.push({ document: name, text: piece });
    }
    const { signal } = new AbortController();
    const embedder = await source.open(source.fit(chunks.map((chunk) => chunk.text)), signal);
    const index = new hnswlib.HierarchicalNSW("cosine", embedder.dimension);
    index.initIndex(chunks.length);
    const entries: { label: number; vector: Float32Array }[] = [];
    for (let from = 0; from < chunks.length; from += BATCH) {
      const texts = chunks.slice(from, from + BATCH).map((chunk) => chunk.text);
      const vectors = await embedder.embed(texts, "document", signal);
      for (const [at, vector] of vectors.entries()) {
        index.addPoint([...vector], from + at);
        entries.push({ label: from + at, vector });
      }
    }
    return new LangChainPipeline(chunks, index, ExactIndex.of(embedder.dimension, entries), embedder);
  }

  get size(): number {
    return this.#chunks.length;
  }

  async #vector(query: string): Promise<Float32Array> {
    const [vector] = await this.#embedder.embed([query], "query", new AbortController().signal);
    return vector ?? new Float32Array(this.#embedder.dimension);
  }

  async search(query: string, k: number): Promise<Chunk[]> {
    const vector = await this.#vector(query);
    const { neighbors } = this.#index.searchKnn([...vector], Math.min(k, this.size));
    return neighbors.flatMap((label) => this.#chunks[label] ?? []);
  }

  /** The same without the losses of the graph: what better settings of the store would give. */
  async searchAll(query: string, k: number): Promise<Chunk[]> {
    const vector = await this.#vector(query);
    return this.#exact.search(vector, k).flatMap(({ label }) => this.#chunks[label] ?? []);
  }
}
