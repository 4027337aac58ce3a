import { readFileSync } from "node:fs";
import { join } from "node:path";
import { KernelEvolveError } from "../../domain/index.ts";
import type { Embedder, EmbedderSource } from "../dense/embedder.ts";
import { sealBroken } from "../dense/seal.ts";
import type { IndexReader } from "../index/reader.ts";

/** A service that failed is not asked again for this long: every search would wait for it. */
const REST_MS = 30_000;

/** The embedder that made the vectors of a generation, opened once for each. */
export class EmbedderOfIndex {
  readonly #source: EmbedderSource;
  #open: { id: string; embedder: Promise<Embedder> } | undefined;
  #failed: { at: number; error: unknown } | undefined;

  constructor(source: EmbedderSource) {
    this.#source = source;
  }

  /** @throws what keeps the embedder from working; corrupt when its stored state is not the one that was written. */
  async open(reader: IndexReader, signal: AbortSignal): Promise<Embedder> {
    const { id } = reader.manifest.embedder;
    if (this.#failed !== undefined && Date.now() - this.#failed.at < REST_MS) throw this.#failed.error;
    if (this.#open?.id !== id) this.#open = { id, embedder: this.#load(reader, signal) };
    try {
      const embedder = guarded(await this.#open.embedder, (error) => {
        this.#failed = { at: Date.now(), error };
      });
      this.#failed = undefined;
      return embedder;
    } catch (error) {
      this.#open = undefined;
      // A damaged index is made anew: what it said is no failure of the embedder.
      const damaged = error instanceof KernelEvolveError && error.code === "corrupt";
      if (!signal.aborted && !damaged) this.#failed = { at: Date.now(), error };
      throw error;
    }
  }

  async #load(reader: IndexReader, signal: AbortSignal): Promise<Embedder> {
    const { embedder, embedder_state } = reader.manifest;
    const file = join(reader.folder, "embedder.bin");
    const broken = embedder_state === undefined ? "is missing" : sealBroken(file, embedder_state);
    if (broken !== undefined) throw new KernelEvolveError("corrupt", `${file} ${broken}`);
    const bytes = new Uint8Array(readFileSync(file));
    const opened = await this.#source.open(this.#source.fitted ? bytes : new Uint8Array(), signal);
    if (opened.id !== embedder.id) {
      throw new KernelEvolveError("corrupt", `the vectors were made by ${embedder.id}, not by ${opened.id}`);
    }
    return opened;
  }
}

/** Remembers a failure, so that the next search does not wait for it again. */
function guarded(embedder: Embedder, failed: (error: unknown) => void): Embedder {
  return {
    id: embedder.id,
    dimension: embedder.dimension,
    embed: async (texts, purpose, signal) => {
      try {
        return await embedder.embed(texts, purpose, signal);
      } catch (error) {
        if (!signal.aborted) failed(error);
        throw error;
      }
    },
  };
}
