/** The labels that a search may answer: one byte a label, 1 for allowed. */
export interface Allowed {
  readonly bits: Uint8Array;
  readonly count: number;
}

export interface Neighbour {
  readonly label: number;
  /** Cosine similarity: 1 is the same direction. */
  readonly similarity: number;
}

/** A scan of rows, a scan of columns, a navigable graph. */
export const VECTOR_INDEX_KINDS = ["exact", "columns", "hnsw"] as const;
export type VectorIndexKind = (typeof VECTOR_INDEX_KINDS)[number];

/** Nearest vectors by cosine similarity. Vectors are unit vectors, labels non-negative 31-bit integers. */
export interface VectorIndex {
  readonly kind: VectorIndexKind;
  readonly dimension: number;
  /** Live vectors. */
  readonly count: number;
  /** At most `k`, best first. */
  search(query: Float32Array, k: number, allowed?: Allowed): Neighbour[];
}

/** What is not a label that every index keeps as it is. */
export function labelFault(label: number): string | undefined {
  return Number.isInteger(label) && label >= 0 && label <= 0x7fffffff
    ? undefined
    : `label ${label} is not an integer between 0 and 2147483647`;
}
