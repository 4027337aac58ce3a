import { readFileSync, renameSync, rmSync, statSync } from "node:fs";
import type { HierarchicalNSW } from "hnswlib-node";
import { z } from "zod";
import { errorMessage, KernelEvolveError } from "../../domain/index.ts";
import { vectorFault } from "./embedder.ts";
import { seal, sealBroken, sealSchema, writeAtomically } from "./seal.ts";
import { type Allowed, labelFault, type Neighbour, type VectorIndex } from "./vector-index.ts";

/** Written beside the file: the library itself accepts a file of another dimension or space without a word. */
const sidecarSchema = z.object({
  format: z.literal("hnsw/1"),
  embedder: z.string(),
  dimension: z.int().positive(),
  space: z.literal("ip"),
  count: z.int().nonnegative(),
  deleted: z.array(z.int()),
  m: z.int(),
  ef_construction: z.int(),
  seal: sealSchema,
});

/** Questions are short and unlike the sections: that needs more links and a wider search than usual. */
const M = 32;
const EF_SEARCH = 1024;
const GROWTH = 1.5;
/** Above this share of deleted points the index is made anew. */
const MAX_DELETED = 0.2;

async function library(): Promise<typeof import("hnswlib-node")> {
  try {
    const loaded = await import("hnswlib-node");
    return loaded.default;
  } catch (error) {
    throw new KernelEvolveError(
      "missing_tool",
      `hnswlib-node cannot be loaded: ${errorMessage(error).split("\n")[0] ?? ""}`,
      {
        fix: "npm install hnswlib-node (it is compiled on install: a C++ compiler, make and python3 are needed)",
        cause: error,
      },
    );
  }
}

/** Whether the native library is there, and if not why. */
export async function hnswMissing(): Promise<string | undefined> {
  try {
    await library();
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}

/** A navigable small-world graph over unit vectors (hnswlib). Labels are never reused. */
export class HnswIndex implements VectorIndex {
  readonly kind = "hnsw";
  readonly dimension: number;
  readonly #graph: HierarchicalNSW;
  readonly #embedder: string;
  readonly #construction: number;
  readonly #deleted: Set<number>;
  readonly #labels: Set<number>;
  /** The library takes plain arrays only. */
  readonly #plain: number[];

  private constructor(
    graph: HierarchicalNSW,
    about: { embedder: string; dimension: number; construction: number },
    deleted: Iterable<number>,
  ) {
    this.#graph = graph;
    this.dimension = about.dimension;
    this.#embedder = about.embedder;
    this.#construction = about.construction;
    this.#deleted = new Set(deleted);
    this.#labels = new Set(graph.getCurrentCount() === 0 ? [] : graph.getIdsList());
    this.#plain = Array.from({ length: about.dimension }, () => 0);
  }

  /** @throws missing_tool when hnswlib-node cannot be loaded. */
  static async create(about: { embedder: string; dimension: number; capacity: number }): Promise<HnswIndex> {
    const { HierarchicalNSW: Graph } = await library();
    const graph = new Graph("ip", about.dimension);
    // Finer graphs of very large indexes take hours, and the search makes up for it.
    const construction = about.capacity > 200_000 ? 120 : 200;
    graph.initIndex(Math.max(16, about.capacity), M, construction, 100);
    return new HnswIndex(graph, { ...about, construction }, []);
  }

  /**
   * Reads an index that `save` wrote.
   * @throws corrupt when the file is not the one that the sidecar tells of, or is of another embedder or dimension.
   */
  static async load(file: string, expected: { embedder: string; dimension: number }): Promise<HnswIndex> {
    const wrong = (why: string, cause?: unknown): KernelEvolveError =>
      new KernelEvolveError("corrupt", `${file} ${why}`, {
        fix: "it is made anew by a rebuild",
        ...(cause === undefined ? {} : { cause }),
      });
    let text: unknown;
    try {
      text = JSON.parse(readFileSync(`${file}.json`, "utf8"));
    } catch (error) {
      throw wrong(`has no readable manifest: ${errorMessage(error)}`, error);
    }
    const parsed = sidecarSchema.safeParse(text);
    if (!parsed.success) throw wrong("has a manifest of another form");
    const manifest = parsed.data;
    if (manifest.embedder !== expected.embedder) throw wrong(`is of the embedder ${manifest.embedder}`);
    if (manifest.dimension !== expected.dimension) throw wrong(`is of ${manifest.dimension} dimensions`);
    const broken = sealBroken(file, manifest.seal);
    if (broken !== undefined) throw wrong(broken);
    const { HierarchicalNSW: Graph } = await library();
    const graph = new Graph("ip", manifest.dimension);
    try {
      await graph.readIndex(file);
    } catch (error) {
      throw wrong(`cannot be read: ${errorMessage(error)}`, error);
    }
    if (graph.getCurrentCount() !== manifest.count || graph.getNumDimensions() !== manifest.dimension) {
      throw wrong(`holds ${graph.getCurrentCount()} vectors, not ${manifest.count}`);
    }
    return new HnswIndex(graph, { ...expected, construction: manifest.ef_construction }, manifest.deleted);
  }

  get count(): number {
    return this.#labels.size - this.#deleted.size;
  }

  /** So many are deleted that a new index is the better one. */
  get worn(): boolean {
    return this.#deleted.size > MAX_DELETED * this.#labels.size;
  }

  has(label: number): boolean {
    return this.#labels.has(label) && !this.#deleted.has(label);
  }

  #copied(vector: Float32Array): number[] {
    for (let at = 0; at < vector.length; at += 1) this.#plain[at] = vector[at] ?? 0;
    return this.#plain;
  }

  /** @throws invalid_argument for a label that is used or cannot be one, or a vector that is not finite or does not fit. */
  add(label: number, vector: Float32Array): void {
    const used = this.#labels.has(label) ? `label ${label} is used already` : undefined;
    const fault = labelFault(label) ?? used ?? vectorFault(vector, this.dimension);
    if (fault !== undefined) throw new KernelEvolveError("invalid_argument", `vector: ${fault}`);
    const full = this.#graph.getMaxElements();
    if (this.#graph.getCurrentCount() >= full) this.#graph.resizeIndex(Math.ceil(full * GROWTH) + 16);
    this.#graph.addPoint(this.#copied(vector), label);
    this.#labels.add(label);
  }

  /** Nothing happens for a label that is not there. */
  remove(label: number): void {
    if (!this.has(label)) return;
    this.#graph.markDelete(label);
    this.#deleted.add(label);
  }

  /** @param effort Candidates that the search keeps on its way; at least `k`. */
  search(query: Float32Array, k: number, allowed?: Allowed, effort = EF_SEARCH): Neighbour[] {
    const fault = vectorFault(query, this.dimension);
    if (fault !== undefined) throw new KernelEvolveError("invalid_argument", `query vector ${fault}`);
    const wanted = Math.min(k, this.count);
    if (wanted <= 0) return [];
    const bits = allowed?.bits;
    // A callback that throws would end the process: this one only reads a byte.
    const filter = bits === undefined ? undefined : (label: number): boolean => bits[label] === 1;
    // The library does not store it.
    this.#graph.setEf(Math.max(effort, wanted));
    const { neighbors, distances } =
      filter === undefined
        ? this.#graph.searchKnn(this.#copied(query), wanted)
        : this.#graph.searchKnn(this.#copied(query), wanted, filter);
    return neighbors.map((label, at) => ({ label, similarity: 1 - (distances[at] ?? 1) }));
  }

  /** Writes under a temporary name, looks whether it is there, renames; the manifest last. */
  async save(file: string): Promise<void> {
    const temporary = `${file}.${process.pid}.tmp`;
    await this.#graph.writeIndex(temporary);
    // Into a missing folder the library writes nothing and says nothing.
    const written = statSync(temporary, { throwIfNoEntry: false });
    if (written === undefined || written.size === 0) {
      throw new KernelEvolveError("infrastructure", `${file} could not be written`, {
        fix: "check the folder's permissions and free space",
      });
    }
    rmSync(`${file}.json`, { force: true });
    renameSync(temporary, file);
    writeAtomically(
      `${file}.json`,
      JSON.stringify({
        format: "hnsw/1",
        embedder: this.#embedder,
        dimension: this.dimension,
        space: "ip",
        count: this.#labels.size,
        deleted: [...this.#deleted],
        m: M,
        ef_construction: this.#construction,
        seal: seal(file),
      } satisfies z.infer<typeof sidecarSchema>),
    );
  }
}
