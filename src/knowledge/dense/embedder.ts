/** Turns texts into unit vectors. */
export interface Embedder {
  /** Changes with everything that changes a vector: vectors of different ids are never compared. */
  readonly id: string;
  readonly dimension: number;
  /** One vector a text, in order. @throws infrastructure when a service does not answer. */
  embed(
    texts: readonly string[],
    purpose: "document" | "query",
    signal: AbortSignal,
  ): Promise<Float32Array[]>;
}

/** Sees the documents one after the other. */
export interface Fitting {
  add(text: string): void;
  state(): Uint8Array;
}

/** An embedder that may have to see the documents before it can work. */
export interface EmbedderSource {
  /** Names the choice before it is opened: another name means that the index is made anew. */
  readonly name: string;
  /** Whether `fit` looks at the documents. */
  readonly fitted: boolean;
  /** Whether a question is zero in most dimensions: then its vectors are kept and compared column by column. */
  readonly sparse?: boolean;
  /** What has to be kept beside the vectors; empty when nothing has. */
  fit(texts: Iterable<string>): Uint8Array;
  /** The same text by text, so that other work can go on in between. Without it nothing is fitted. */
  fitting?(): Fitting;
  /** @throws missing_tool, invalid_argument or infrastructure, with what to do. */
  open(state: Uint8Array, signal: AbortSignal): Promise<Embedder>;
}

/** Scales to length 1 in place; a zero vector stays. */
export function normalise(vector: Float32Array): Float32Array {
  let sum = 0;
  for (const value of vector) sum += value * value;
  if (sum === 0) return vector;
  const scale = 1 / Math.sqrt(sum);
  for (let index = 0; index < vector.length; index += 1) vector[index] = (vector[index] ?? 0) * scale;
  return vector;
}

/** Why `vector` cannot be indexed; undefined when it can. */
export function vectorFault(vector: ArrayLike<number>, dimension: number): string | undefined {
  if (vector.length !== dimension) return `has ${vector.length} dimensions, not ${dimension}`;
  for (let index = 0; index < vector.length; index += 1) {
    if (!Number.isFinite(vector[index])) return `has a value that is no number at ${index}`;
  }
  return undefined;
}
