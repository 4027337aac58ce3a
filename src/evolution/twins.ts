import type { Node, Run } from "../domain/run.ts";
import type { GraphRepository } from "../store/index.ts";
import { duplicateKey } from "./normalise.ts";
import { type Embedding, embeddingOf, shapeKey, similarity, TWIN_SIMILARITY } from "./similarity.ts";

/** What a source is compared by. */
export interface Likeness {
  /** Equal for sources that differ in comments and blanks only. */
  readonly key: string;
  /** Equal for sources whose embeddings are compared; undefined for very long ones, which are compared by text alone. */
  readonly shape: string | undefined;
}

/** A node that the run has already, and how it is the same. */
export interface Twin {
  readonly node: Node;
  readonly alike: "text" | "names";
}

/** Characters up to which a source is embedded: beyond, it would hold the server up. */
const LONGEST = 131_072;
/** Sources of one shape that are looked at, the newest first, and embeddings that are kept. */
const COMPARED = 32;
const KEPT = 512;

export function likenessOf(source: string, abstraction: string): Likeness {
  return {
    key: duplicateKey(source, abstraction),
    shape: source.length > LONGEST ? undefined : shapeKey(source, abstraction),
  };
}

/** Finds near-duplicates of a source in a run: by text first, then by embedding among those of the same shape. */
export class Twins {
  readonly #graph: GraphRepository;
  readonly #embeddings = new Map<string, Embedding>();

  constructor(graph: GraphRepository) {
    this.#graph = graph;
  }

  /** The twin in this run, except a node that the machinery failed on: that was never judged. */
  find(run: Run, source: string, { key, shape }: Likeness): Twin | undefined {
    const same = this.#graph.twin(run.id, key);
    if (same !== undefined && same.status !== "infrastructure_error") return { node: same, alike: "text" };
    if (shape === undefined) return undefined;
    const near = this.#graph.ofShape(run.id, shape, COMPARED);
    if (near.length === 0) return undefined;
    const own = embeddingOf(source, run.abstraction);
    for (const node of near) {
      const other = this.#embedding(node.candidate, run.abstraction);
      if (other !== undefined && similarity(own, other) >= TWIN_SIMILARITY) return { node, alike: "names" };
    }
    return undefined;
  }

  /** How two sources are the same, undefined when they are not. `likeness` is that of the second. */
  alike(a: string, b: string, { key, shape }: Likeness, abstraction: string): Twin["alike"] | undefined {
    const other = likenessOf(a, abstraction);
    if (other.key === key) return "text";
    if (shape === undefined || other.shape !== shape) return undefined;
    const close = similarity(embeddingOf(a, abstraction), embeddingOf(b, abstraction));
    return close >= TWIN_SIMILARITY ? "names" : undefined;
  }

  #embedding(candidate: string, abstraction: string): Embedding | undefined {
    const known = this.#embeddings.get(candidate);
    if (known !== undefined) return known;
    const source = this.#graph.source(candidate);
    if (source === undefined) return undefined;
    const made = embeddingOf(source, abstraction);
    const [oldest] = this.#embeddings.keys();
    if (this.#embeddings.size >= KEPT && oldest !== undefined) this.#embeddings.delete(oldest);
    this.#embeddings.set(candidate, made);
    return made;
  }
}
