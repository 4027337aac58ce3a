import { sha256 } from "../../platform/hash.ts";
import { lightStem, tokens } from "../text/tokens.ts";
import { CONCEPTS } from "./concepts.ts";
import { type Embedder, type EmbedderSource, type Fitting, normalise } from "./embedder.ts";

/** Dimensions of hashed words and of concepts; the latter padded, so that a new group does not change the dimension. */
const HASHED = 512;
const CONCEPT_DIMENSIONS = 64;
const CONCEPT_WEIGHT = 0.7;
const NGRAM_WEIGHT = 0.3;
/** Document frequencies are counted by hash: a table of fixed size that is stored with the index. */
const BUCKETS = 1 << 16;
const SCHEME = "concept-hash/1";

/** FNV-1a over UTF-16 units, with the finaliser of MurmurHash3 so that all bits are good. */
export function hash32(text: string, seed = 0x811c9dc5): number {
  let hash = seed;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Atoms of a text for finding concepts: runs of letters and digits, stemmed. */
function atoms(text: string): string[] {
  return (text.toLowerCase().match(/[\p{L}\p{N}#]+/gu) ?? []).map(lightStem);
}

interface Step {
  readonly next: Map<string, Step>;
  readonly groups: number[];
}

function phraseTree(): Step {
  const root: Step = { next: new Map(), groups: [] };
  for (const [group, terms] of CONCEPTS.entries()) {
    for (const term of terms) {
      let step = root;
      for (const atom of atoms(term)) {
        const found = step.next.get(atom) ?? { next: new Map(), groups: [] };
        step.next.set(atom, found);
        step = found;
      }
      if (!step.groups.includes(group)) step.groups.push(group);
    }
  }
  return root;
}
const TREE = phraseTree();

/** How often a text names each concept, whatever the vendor's word for it. */
export function conceptCounts(text: string): Map<number, number> {
  const counts = new Map<number, number>();
  const words = atoms(text);
  for (let from = 0; from < words.length; from += 1) {
    let step: Step | undefined = TREE;
    for (let at = from; at < words.length && step !== undefined; at += 1) {
      step = step.next.get(words[at] ?? "");
      for (const group of step?.groups ?? []) counts.set(group, (counts.get(group) ?? 0) + 1);
    }
  }
  return counts;
}

/** How many texts have a token (by hash) and a concept. */
interface Frequencies {
  readonly texts: number;
  readonly buckets: Uint32Array;
  readonly concepts: Uint32Array;
}

function encode({ texts, buckets, concepts }: Frequencies): Uint8Array {
  const all = new Uint32Array(1 + BUCKETS + CONCEPT_DIMENSIONS);
  all[0] = texts;
  all.set(buckets, 1);
  all.set(concepts, 1 + BUCKETS);
  return new Uint8Array(all.buffer);
}

function decode(state: Uint8Array): Frequencies {
  const all = new Uint32Array(1 + BUCKETS + CONCEPT_DIMENSIONS);
  // An empty state means that nothing was counted: every word weighs the same.
  new Uint8Array(all.buffer).set(state.subarray(0, all.byteLength));
  return { texts: all[0] ?? 0, buckets: all.slice(1, 1 + BUCKETS), concepts: all.slice(1 + BUCKETS) };
}

/** Hashed dimension and sign of a token, then those of its character 3- to 5-grams. */
function features(token: string): Int32Array {
  const found: number[] = [];
  const put = (text: string, seed?: number): void => {
    const hash = hash32(text, seed);
    const at = (hash >>> 1) % HASHED;
    found.push((hash & 1) === 0 ? at + 1 : -(at + 1));
  };
  put(token);
  const framed = `<${token}>`;
  for (let size = 3; size <= 5; size += 1) {
    for (let at = 0; at + size <= framed.length; at += 1) put(framed.slice(at, at + size), 0x9747b28c);
  }
  return Int32Array.from(found);
}

const MAX_CACHED = 40_000;

class ConceptHash implements Embedder {
  readonly id: string;
  readonly dimension = HASHED + CONCEPT_DIMENSIONS;
  readonly #frequencies: Frequencies;
  readonly #features = new Map<string, Int32Array>();

  constructor(state: Uint8Array) {
    this.id = `${SCHEME}:${sha256(JSON.stringify(CONCEPTS)).slice(0, 8)}:${sha256(state).slice(0, 12)}`;
    this.#frequencies = decode(state);
  }

  async embed(texts: readonly string[]): Promise<Float32Array[]> {
    return texts.map((text) => this.#vector(text));
  }

  #idf(count: number): number {
    return Math.log(1 + (1 + this.#frequencies.texts) / (1 + count));
  }

  #featuresOf(token: string): Int32Array {
    const known = this.#features.get(token);
    if (known !== undefined) return known;
    if (this.#features.size >= MAX_CACHED) this.#features.clear();
    const made = features(token);
    this.#features.set(token, made);
    return made;
  }

  #vector(text: string): Float32Array {
    const { buckets, concepts } = this.#frequencies;
    const hashed = new Float32Array(HASHED);
    const counts = new Map<string, number>();
    for (const token of tokens(text)) counts.set(token, (counts.get(token) ?? 0) + 1);
    for (const [token, count] of counts) {
      const weight = (1 + Math.log(count)) * this.#idf(buckets[hash32(token) % BUCKETS] ?? 0);
      const gram = (weight * NGRAM_WEIGHT) / Math.sqrt(token.length);
      const list = this.#featuresOf(token);
      for (let index = 0; index < list.length; index += 1) {
        const feature = list[index] ?? 1;
        const at = Math.abs(feature) - 1;
        hashed[at] = (hashed[at] ?? 0) + Math.sign(feature) * (index === 0 ? weight : gram);
      }
    }
    const named = new Float32Array(CONCEPT_DIMENSIONS);
    for (const [group, count] of conceptCounts(text)) {
      if (group < CONCEPT_DIMENSIONS) named[group] = (1 + Math.log(count)) * this.#idf(concepts[group] ?? 0);
    }
    normalise(hashed);
    normalise(named);
    const vector = new Float32Array(this.dimension);
    vector.set(hashed);
    for (let group = 0; group < CONCEPT_DIMENSIONS; group += 1) {
      vector[HASHED + group] = (named[group] ?? 0) * CONCEPT_WEIGHT;
    }
    return normalise(vector);
  }
}

/** Counts in how many texts each token and concept is. */
function countFrequencies(): Fitting {
  const buckets = new Uint32Array(BUCKETS);
  const concepts = new Uint32Array(CONCEPT_DIMENSIONS);
  let texts = 0;
  return {
    add: (text) => {
      texts += 1;
      for (const token of new Set(tokens(text))) {
        const bucket = hash32(token) % BUCKETS;
        buckets[bucket] = (buckets[bucket] ?? 0) + 1;
      }
      for (const group of conceptCounts(text).keys()) concepts[group] = (concepts[group] ?? 0) + 1;
    },
    state: () => encode({ texts, buckets, concepts }),
  };
}

/** The embedded default: no key, no download. Deterministic for a given set of documents. */
export function conceptHash(): EmbedderSource {
  return {
    name: SCHEME,
    fitted: true,
    sparse: true,
    fit: (texts) => {
      const fitting = countFrequencies();
      for (const text of texts) fitting.add(text);
      return fitting.state();
    },
    fitting: countFrequencies,
    open: async (state) => new ConceptHash(state),
  };
}
