import type { Neighbour } from "./vector-index.ts";

/** The best `k` seen, kept sorted; equal similarities by label, so that answers are deterministic. */
export class Best {
  readonly #k: number;
  readonly #found: Neighbour[] = [];

  constructor(k: number) {
    this.#k = k;
  }

  /** Similarity that a candidate must pass. */
  get bar(): number {
    return this.#found.length < this.#k ? Number.NEGATIVE_INFINITY : (this.#found.at(-1)?.similarity ?? 0);
  }

  put(label: number, similarity: number): void {
    let at = this.#found.length;
    while (at > 0) {
      const before = this.#found[at - 1];
      if (before === undefined || before.similarity > similarity) break;
      if (before.similarity === similarity && before.label < label) break;
      at -= 1;
    }
    if (at >= this.#k) return;
    this.#found.splice(at, 0, { label, similarity });
    if (this.#found.length > this.#k) this.#found.pop();
  }

  list(): Neighbour[] {
    return this.#found;
  }
}
