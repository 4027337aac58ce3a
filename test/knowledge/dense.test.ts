import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KernelEvolveError } from "../../src/domain/index.ts";
import { normalise } from "../../src/knowledge/dense/embedder.ts";
import { ExactIndex } from "../../src/knowledge/dense/exact.ts";
import { HnswIndex } from "../../src/knowledge/dense/hnsw.ts";
import { readVectors, writeVectors } from "../../src/knowledge/dense/vector-file.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kernelevolve-dense-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Deterministic numbers between -1 and 1. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

const DIMENSION = 64;
function vectors(count: number, seed = 1): { label: number; vector: Float32Array }[] {
  const next = random(seed);
  // Clustered, as texts are.
  const centres = Array.from({ length: 40 }, () => Float32Array.from({ length: DIMENSION }, next));
  return Array.from({ length: count }, (_, label) => {
    const centre = centres[label % centres.length] ?? new Float32Array(DIMENSION);
    return { label: label * 3 + 1, vector: normalise(centre.map((value) => value + 0.6 * next())) };
  });
}

async function graph(
  entries: readonly { label: number; vector: Float32Array }[],
  capacity = entries.length,
): Promise<HnswIndex> {
  const index = await HnswIndex.create({ embedder: "e", dimension: DIMENSION, capacity });
  for (const { label, vector } of entries) index.add(label, vector);
  return index;
}

const bits = (labels: readonly number[]): { bits: Uint8Array; count: number } => {
  const all = new Uint8Array(20_000);
  for (const label of labels) all[label] = 1;
  return { bits: all, count: labels.length };
};

describe("exact scan", () => {
  test("is the sorted list of all similarities", () => {
    const entries = vectors(300);
    const index = ExactIndex.of(DIMENSION, entries);
    const query = entries[7]?.vector ?? new Float32Array(DIMENSION);
    const all = entries
      .map(({ label, vector }) => ({
        label,
        value: vector.reduce((sum, x, at) => sum + x * (query[at] ?? 0), 0),
      }))
      .sort((a, b) => b.value - a.value);
    expect(index.search(query, 10).map((one) => one.label)).toEqual(all.slice(0, 10).map((one) => one.label));
    expect(index.search(query, 1)[0]?.similarity).toBeCloseTo(1, 5);
    expect(index.search(query, 1000)).toHaveLength(300);
    expect(index.search(query, 0)).toEqual([]);
  });

  test("a query of few dimensions gives what the whole sum gives", () => {
    const entries = vectors(200);
    const index = ExactIndex.of(DIMENSION, entries);
    const query = normalise(Float32Array.from({ length: DIMENSION }, (_, at) => (at % 7 === 3 ? at + 1 : 0)));
    for (const { label, similarity } of index.search(query, 5)) {
      const vector = entries.find((entry) => entry.label === label)?.vector ?? new Float32Array();
      expect(similarity).toBeCloseTo(
        vector.reduce((sum, x, at) => sum + x * (query[at] ?? 0), 0),
        5,
      );
    }
  });

  test("answers allowed labels only, ties by label", () => {
    const one = normalise(Float32Array.from({ length: DIMENSION }, () => 1));
    const index = ExactIndex.of(
      DIMENSION,
      [9, 4, 6].map((label) => ({ label, vector: one })),
    );
    expect(index.search(one, 3).map((hit) => hit.label)).toEqual([4, 6, 9]);
    expect(index.search(one, 3, bits([9, 6])).map((hit) => hit.label)).toEqual([6, 9]);
  });

  test("refuses vectors that are no numbers, of another length, and labels that would wrap", () => {
    const bad = new Float32Array(DIMENSION).fill(Number.NaN);
    const good = new Float32Array(DIMENSION).fill(1);
    expect(() => ExactIndex.of(DIMENSION, [{ label: 1, vector: bad }])).toThrow(KernelEvolveError);
    expect(() => ExactIndex.of(DIMENSION, [{ label: 1, vector: new Float32Array(3) }])).toThrow(/dimensions/);
    expect(() => ExactIndex.of(DIMENSION, [{ label: -1, vector: good }])).toThrow(/label/);
    expect(() => ExactIndex.of(DIMENSION, [{ label: 2 ** 33, vector: good }])).toThrow(/label/);
    expect(() => ExactIndex.of(DIMENSION, []).search(bad, 1)).toThrow(/no number/);
  });
});

describe("graph", () => {
  test("recalls what the scan finds: at least 0.99 of the first ten, filtered too", async () => {
    const entries = vectors(4000);
    const exact = ExactIndex.of(DIMENSION, entries);
    const index = await graph(entries, 100);
    expect(index.count).toBe(4000);
    const half = bits(entries.filter((_, at) => at % 2 === 0).map((entry) => entry.label));
    for (const allowed of [undefined, half]) {
      let found = 0;
      const queries = vectors(60, 99);
      for (const { vector } of queries) {
        const want = new Set(exact.search(vector, 10, allowed).map((hit) => hit.label));
        const got = index.search(vector, 10, allowed);
        if (allowed !== undefined) expect(got.every((hit) => allowed.bits[hit.label] === 1)).toBe(true);
        found += got.filter((hit) => want.has(hit.label)).length;
      }
      expect(found / (10 * queries.length)).toBeGreaterThanOrEqual(0.99);
    }
  });

  test("refuses what the library would take in silence or end the process for", async () => {
    const index = await graph(vectors(20));
    const good = normalise(new Float32Array(DIMENSION).fill(1));
    const bad = good.slice();
    bad[5] = Number.POSITIVE_INFINITY;
    expect(() => index.add(500, bad)).toThrow(/no number/);
    expect(() => index.add(-1, good)).toThrow(/label/);
    expect(() => index.add(2 ** 32 + 1, good)).toThrow(/label/);
    expect(() => index.add(1, good)).toThrow(/used already/);
    expect(() => index.search(bad, 3)).toThrow(/no number/);
    index.remove(1);
    index.remove(1);
    index.remove(777);
    expect(() => index.add(1, good)).toThrow(/used already/);
    // More than there are, a filter that allows none, a bitmap that is too short.
    expect(index.search(good, 10_000)).toHaveLength(19);
    expect(index.search(good, 5, bits([]))).toEqual([]);
    expect(index.search(good, 5, { bits: new Uint8Array(0), count: 0 })).toEqual([]);
  });

  test("comes back from disk the same, deletions included", async () => {
    const entries = vectors(500);
    const index = await graph(entries);
    for (const { label } of entries.slice(0, 40)) index.remove(label);
    const file = join(folder, "same.hnsw");
    await index.save(file);
    const again = await HnswIndex.load(file, { embedder: "e", dimension: DIMENSION });
    expect(again.count).toBe(460);
    expect(again.has(1)).toBe(false);
    for (const { vector } of vectors(20, 5)) {
      expect(again.search(vector, 10)).toEqual(index.search(vector, 10));
      expect(again.search(vector, 500).every((hit) => hit.label > 118)).toBe(true);
    }
    again.add(100_000, entries[0]?.vector ?? new Float32Array(DIMENSION));
    expect(again.search(entries[0]?.vector ?? new Float32Array(DIMENSION), 1)[0]?.label).toBe(100_000);
    expect(again.worn).toBe(false);
    for (const { label } of entries.slice(40, 200)) again.remove(label);
    expect(again.worn).toBe(true);
  });

  test("a file of another embedder, dimension, length or content is refused", async () => {
    const file = join(folder, "refused.hnsw");
    await (await graph(vectors(100))).save(file);
    const load = (expected: { embedder: string; dimension: number }): Promise<HnswIndex> =>
      HnswIndex.load(file, expected);
    await expect(load({ embedder: "other", dimension: DIMENSION })).rejects.toThrow(/embedder e/);
    await expect(load({ embedder: "e", dimension: 32 })).rejects.toThrow(/dimensions/);
    const whole = readFileSync(file);
    const changed = Buffer.from(whole);
    changed.writeUInt8(changed.readUInt8(4000) ^ 0xff, 4000);
    writeFileSync(file, changed);
    await expect(load({ embedder: "e", dimension: DIMENSION })).rejects.toThrow(/other contents/);
    truncateSync(file, whole.length - 10);
    await expect(load({ embedder: "e", dimension: DIMENSION })).rejects.toThrow(/bytes, not/);
    writeFileSync(`${file}.json`, "{");
    await expect(load({ embedder: "e", dimension: DIMENSION })).rejects.toThrow(/manifest/);
    await expect(HnswIndex.load(join(folder, "none"), { embedder: "e", dimension: 4 })).rejects.toThrow(
      /manifest/,
    );
  });

  test("writing into a folder that is not there is an error, not silence", async () => {
    await expect((await graph(vectors(10))).save(join(folder, "missing", "x.hnsw"))).rejects.toThrow(
      KernelEvolveError,
    );
  });
});

test("vectors on disk come back as they were, or not at all", () => {
  const file = join(folder, "vectors.f32");
  const index = ExactIndex.of(DIMENSION, vectors(50));
  writeVectors(file, "e", index);
  const again = readVectors(file, "e");
  expect([...again.labels]).toEqual([...index.labels]);
  expect(again.vectors).toEqual(index.vectors);
  expect(() => readVectors(file, "f")).toThrow(/embedder/);
  const bytes = readFileSync(file);
  bytes.writeFloatLE(7, 400);
  writeFileSync(file, bytes);
  expect(() => readVectors(file, "e")).toThrow(/other contents/);
  truncateSync(file, 100);
  expect(() => readVectors(file, "e")).toThrow(/bytes/);
});
