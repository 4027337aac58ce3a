import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomFrom } from "../../../src/evolution/random.ts";

const DIMENSION = 256;
const WINDOW = 5;
const NON_ZERO = 16;
const LEAST_COUNT = 3;
/** Of smooth inverse frequency: common words weigh less (Arora, Liang and Ma, 2017). */
const SMOOTHING = 1e-3;

/** As WordPiece splits before it looks into its vocabulary. */
function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu) ?? [];
}

/** A few random signs for each word: nearly orthogonal to those of any other word. */
function signature(word: string): { at: number; sign: number }[] {
  const random = randomFrom("static-model", word);
  return Array.from({ length: NON_ZERO }, () => ({
    at: random.integer(DIMENSION),
    sign: random.next() < 0.5 ? -1 : 1,
  }));
}

/**
 * A folder as Model2Vec writes it: one dense vector a token, learned from `texts` by random indexing (a word is the sum of the
 * signatures of the words around it; Sahlgren, 2005), less their mean. No pretrained model can be had without a download; the vectors
 * of this one are dense and lie in clusters, as those of learned models do, and it goes through the same loader.
 */
export function writeStaticModel(folder: string, texts: Iterable<string>): void {
  const documents = [...texts].map(wordsOf);
  const counts = new Map<string, number>();
  for (const word of documents.flat()) counts.set(word, (counts.get(word) ?? 0) + 1);
  const known = [...counts].filter(([, count]) => count >= LEAST_COUNT).map(([word]) => word);
  // Words that were not seen are spelled, letter by letter.
  const letters = "abcdefghijklmnopqrstuvwxyz0123456789".split("");
  const tokens = [...new Set([...known, ...letters, ...letters.map((letter) => `##${letter}`)])];
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const weightOf = (token: string): number => SMOOTHING / (SMOOTHING + (counts.get(token) ?? 0) / total);
  const signatures = tokens.map(signature);
  const table = new Float32Array(tokens.length * DIMENSION);
  const add = (row: number, of: number, weight: number): void => {
    for (const { at, sign } of signatures[of] ?? []) {
      table[row * DIMENSION + at] = (table[row * DIMENSION + at] ?? 0) + sign * weight;
    }
  };
  for (const words of documents) {
    const ids = words.map((word) => vocab[word]);
    for (const [at, id] of ids.entries()) {
      if (id === undefined) continue;
      for (let near = Math.max(0, at - WINDOW); near <= Math.min(ids.length - 1, at + WINDOW); near += 1) {
        const other = ids[near];
        if (other !== undefined && near !== at) add(id, other, weightOf(tokens[other] ?? ""));
      }
    }
  }
  // A word is also like itself, and one that was never seen like nothing else.
  for (const [id, token] of tokens.entries()) add(id, id, 1 + Math.sqrt(counts.get(token) ?? 0) / 4);
  const mean = new Float32Array(DIMENSION);
  for (let row = 0; row < tokens.length; row += 1) {
    const vector = table.subarray(row * DIMENSION, (row + 1) * DIMENSION);
    const length = Math.hypot(...vector) || 1;
    const scale = weightOf(tokens[row] ?? "") / length;
    for (let at = 0; at < DIMENSION; at += 1) {
      vector[at] = (vector[at] ?? 0) * scale;
      mean[at] = (mean[at] ?? 0) + (vector[at] ?? 0) / tokens.length;
    }
  }
  for (let at = 0; at < table.length; at += 1) table[at] = (table[at] ?? 0) - (mean[at % DIMENSION] ?? 0);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "tokenizer.json"),
    JSON.stringify({
      model: { type: "WordPiece", vocab },
      normalizer: { type: "BertNormalizer", lowercase: true },
    }),
  );
  const header = Buffer.from(
    JSON.stringify({
      embeddings: { dtype: "F32", shape: [tokens.length, DIMENSION], data_offsets: [0, table.byteLength] },
    }),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(
    join(folder, "model.safetensors"),
    Buffer.concat([length, header, new Uint8Array(table.buffer)]),
  );
}
