import { KernelEvolveError } from "../../domain/index.ts";
import { Best } from "./best.ts";
import { vectorFault } from "./embedder.ts";
import { type Allowed, labelFault, type Neighbour, type VectorIndex } from "./vector-index.ts";

const SPARSE = 0.4;

function dot(vectors: Float32Array, base: number, query: Float32Array): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let at = 0;
  for (; at + 3 < query.length; at += 4) {
    a += (vectors[base + at] ?? 0) * (query[at] ?? 0);
    b += (vectors[base + at + 1] ?? 0) * (query[at + 1] ?? 0);
    c += (vectors[base + at + 2] ?? 0) * (query[at + 2] ?? 0);
    d += (vectors[base + at + 3] ?? 0) * (query[at + 3] ?? 0);
  }
  for (; at < query.length; at += 1) a += (vectors[base + at] ?? 0) * (query[at] ?? 0);
  return a + b + (c + d);
}

function sparseDot(vectors: Float32Array, base: number, named: Int32Array, weights: Float32Array): number {
  let a = 0;
  let b = 0;
  let at = 0;
  for (; at + 1 < named.length; at += 2) {
    a += (vectors[base + (named[at] ?? 0)] ?? 0) * (weights[at] ?? 0);
    b += (vectors[base + (named[at + 1] ?? 0)] ?? 0) * (weights[at + 1] ?? 0);
  }
  if (at < named.length) a += (vectors[base + (named[at] ?? 0)] ?? 0) * (weights[at] ?? 0);
  return a + b;
}

/** A scan over all vectors: perfect recall, no build. The oracle of the others, and the faster one when few are allowed. */
export class ExactIndex implements VectorIndex {
  readonly kind = "exact";
  readonly dimension: number;
  readonly labels: Int32Array;
  readonly vectors: Float32Array;

  /** @throws corrupt when the parts do not fit each other. */
  constructor(dimension: number, labels: Int32Array, vectors: Float32Array) {
    if (vectors.length !== dimension * labels.length) {
      throw new KernelEvolveError(
        "corrupt",
        `${vectors.length} values are not ${labels.length} vectors of ${dimension} dimensions`,
      );
    }
    this.dimension = dimension;
    this.labels = labels;
    this.vectors = vectors;
  }

  /** Of vectors one by one. @throws invalid_argument for one that is not finite or has another dimension. */
  static of(dimension: number, entries: readonly { label: number; vector: Float32Array }[]): ExactIndex {
    const labels = new Int32Array(entries.length);
    const vectors = new Float32Array(entries.length * dimension);
    for (const [row, { label, vector }] of entries.entries()) {
      const fault = labelFault(label) ?? vectorFault(vector, dimension);
      if (fault !== undefined) throw new KernelEvolveError("invalid_argument", `vector ${row}: ${fault}`);
      labels[row] = label;
      vectors.set(vector, row * dimension);
    }
    return new ExactIndex(dimension, labels, vectors);
  }

  get count(): number {
    return this.labels.length;
  }

  /** One vector; not a copy. */
  row(row: number): Float32Array {
    return this.vectors.subarray(row * this.dimension, (row + 1) * this.dimension);
  }

  /** Of one row and a vector of the same dimension. */
  similarity(row: number, query: Float32Array): number {
    return dot(this.vectors, row * this.dimension, query);
  }

  search(query: Float32Array, k: number, allowed?: Allowed): Neighbour[] {
    const fault = vectorFault(query, this.dimension);
    if (fault !== undefined) throw new KernelEvolveError("invalid_argument", `query vector ${fault}`);
    const { vectors, labels, dimension } = this;
    // A short question names few dimensions of a hashed vector: the others need no multiplying.
    const named = Int32Array.from([...query.keys()].filter((at) => query[at] !== 0));
    const sparse = named.length < SPARSE * dimension;
    const weights = sparse ? Float32Array.from(named, (at) => query[at] ?? 0) : query;
    const best = new Best(Math.max(0, k));
    for (let row = 0, base = 0; row < labels.length; row += 1, base += dimension) {
      const label = labels[row] ?? 0;
      if (allowed !== undefined && allowed.bits[label] !== 1) continue;
      const similarity = sparse ? sparseDot(vectors, base, named, weights) : dot(vectors, base, weights);
      if (similarity >= best.bar) best.put(label, similarity);
    }
    return best.list();
  }
}
