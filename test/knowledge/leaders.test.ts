import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { randomFrom } from "../../src/evolution/random.ts";
import { normalise } from "../../src/knowledge/dense/embedder.ts";
import { ExactIndex } from "../../src/knowledge/dense/exact.ts";
import { HnswIndex } from "../../src/knowledge/dense/hnsw.ts";
import { LeaderIndex } from "../../src/knowledge/dense/leaders.ts";
import type { Allowed, VectorIndex } from "../../src/knowledge/dense/vector-index.ts";

const DIMENSION = 48;
const ABOUT = { embedder: "e", dimension: DIMENSION };

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kernelevolve-leaders-"));
  file = join(folder, "vectors.hnsw");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Entry {
  readonly label: number;
  readonly vector: Float32Array;
}

function noisy(base: Float32Array, amount: number, random: ReturnType<typeof randomFrom>): Float32Array {
  return normalise(base.map((value) => value + amount * (random.next() - 0.5)));
}

function directions(count: number, seed: string): Float32Array[] {
  const random = randomFrom("leaders", seed);
  return Array.from({ length: count }, () =>
    normalise(Float32Array.from({ length: DIMENSION }, () => random.next() - 0.5)),
  );
}

/** As manuals are that repeat themselves: passages, each many times with small changes. */
function copies(passages: number, times: number, seed = "copies"): Entry[] {
  const random = randomFrom("leaders", `${seed} noise`);
  return directions(passages, seed).flatMap((base, passage) =>
    Array.from({ length: times }, (_, copy) => ({
      label: 2 * (passage * times + copy) + 1,
      vector: noisy(base, 0.04, random),
    })),
  );
}

function rowsOf(entries: readonly Entry[]): ExactIndex {
  return ExactIndex.of(DIMENSION, entries);
}

function allow(entries: readonly Entry[]): Allowed {
  const bits = new Uint8Array(Math.max(...entries.map(({ label }) => label)) + 1);
  for (const { label } of entries) bits[label] = 1;
  return { bits, count: entries.length };
}

function recall(
  index: VectorIndex,
  exact: ExactIndex,
  queries: readonly Float32Array[],
  allowed?: Allowed,
): number {
  let found = 0;
  let all = 0;
  for (const query of queries) {
    const want = new Set(exact.search(query, 10, allowed).map(({ label }) => label));
    const got = index.search(query, 10, allowed);
    if (allowed !== undefined) expect(got.every(({ label }) => allowed.bits[label] === 1)).toBe(true);
    found += got.filter(({ label }) => want.has(label)).length;
    all += want.size;
  }
  return found / all;
}

describe("graph of leaders", () => {
  test("finds what the scan finds among many near copies, filtered too", async () => {
    const entries = copies(150, 40);
    const exact = rowsOf(entries);
    const index = await LeaderIndex.build(exact, "e");
    expect(index.count).toBe(6000);
    expect(index.leaders).toBe(150);
    const queries = directions(60, "questions");
    expect(recall(index, exact, queries)).toBeGreaterThanOrEqual(0.99);
    const some = allow(entries.filter((_, at) => at % 7 === 3));
    expect(recall(index, exact, queries, some)).toBeGreaterThanOrEqual(0.99);
    // Asked for more than the leaders first looked at have.
    const [query = new Float32Array(DIMENSION)] = queries;
    expect(index.search(query, 200)).toEqual(exact.search(query, 200));
  });

  test("is a plain graph where nothing repeats itself", async () => {
    const entries = directions(800, "single").map((vector, label) => ({ label, vector }));
    const exact = rowsOf(entries);
    const index = await LeaderIndex.build(exact, "e");
    expect(index.leaders).toBe(800);
    expect(recall(index, exact, directions(40, "asked"))).toBeGreaterThanOrEqual(0.99);
  });

  test("zero vectors are near to nothing, other dimensions and no numbers are refused", async () => {
    const entries = [...copies(4, 3), { label: 100, vector: new Float32Array(DIMENSION) }];
    const index = await LeaderIndex.build(rowsOf(entries), "e");
    const query = entries[0]?.vector ?? new Float32Array(DIMENSION);
    expect(index.leaders).toBe(4);
    expect(index.search(query, 3).map(({ label }) => label)).not.toContain(100);
    expect(index.search(query, 0)).toEqual([]);
    expect(() => index.search(new Float32Array(3), 1)).toThrow(/dimensions/);
    expect(() =>
      index.search(
        query.map(() => Number.NaN),
        1,
      ),
    ).toThrow(/no number/);
    const bad = new ExactIndex(DIMENSION, Int32Array.of(1), new Float32Array(DIMENSION).fill(Number.NaN));
    await expect(LeaderIndex.build(bad, "e")).rejects.toThrow(/no number/);
  });

  test("goes on from the one before: what left is not found, what came is, the rest keeps its leader", async () => {
    const entries = copies(60, 10);
    const first = await LeaderIndex.build(rowsOf(entries), "e");
    await first.save(file);
    // Every leader of the first thirty passages goes, and some whole passages.
    const kept = entries.filter((_, at) => (at < 300 ? at % 10 !== 0 : at >= 350));
    const fresh = copies(5, 10, "fresh").map(({ label, vector }) => ({ label: label + 5000, vector }));
    const rows = rowsOf([...kept, ...fresh]);
    const before = await LeaderIndex.load(file, ABOUT, rowsOf(entries));
    const index = await LeaderIndex.build(rows, "e", before);
    expect(index.count).toBe(kept.length + fresh.length);
    expect(index.leaders).toBe(60);
    for (const { vector } of [...kept, ...fresh, ...entries].filter((_, at) => at % 20 === 0)) {
      expect(index.search(vector, 10)).toEqual(rows.search(vector, 10));
    }
    await index.save(file);
    const again = await LeaderIndex.load(file, ABOUT, rows);
    const [query = new Float32Array(DIMENSION)] = directions(1, "again");
    expect(again.search(query, 20)).toEqual(index.search(query, 20));
  });

  test("is made anew when most of its leaders are gone", async () => {
    const entries = copies(60, 2);
    const before = await LeaderIndex.build(rowsOf(entries), "e");
    const worn = await LeaderIndex.build(rowsOf(entries.slice(0, 60)), "e", before);
    const rest = rowsOf(entries.slice(0, 40));
    const again = await LeaderIndex.build(rest, "e", worn);
    await again.save(file);
    expect(again.leaders).toBe(20);
    const plain = await HnswIndex.load(file, ABOUT);
    expect(plain.count).toBe(20);
    expect(plain.has(entries.at(-1)?.label ?? 0)).toBe(false);
  });

  test("files that were changed, cut, or are of other rows are refused", async () => {
    const entries = copies(20, 5);
    const rows = rowsOf(entries);
    await (await LeaderIndex.build(rows, "e")).save(file);
    const leaders = `${file}.leaders`;
    const load = (of = rows, about = ABOUT): Promise<LeaderIndex> => LeaderIndex.load(file, about, of);
    expect((await load()).leaders).toBe(20);
    await expect(load(rowsOf(entries.slice(1)))).rejects.toThrow(/of 100 vectors, not of 99/);
    await expect(load(rows, { ...ABOUT, embedder: "other" })).rejects.toThrow(/embedder e/);
    const whole = join(folder, "whole");
    copyFileSync(leaders, whole);
    const bytes = readFileSync(leaders);
    bytes.writeInt32LE(12345, 40);
    writeFileSync(leaders, bytes);
    utimesSync(leaders, 1, 1);
    await expect(load()).rejects.toThrow(/other contents/);
    truncateSync(leaders, 100);
    await expect(load()).rejects.toThrow(/bytes, not/);
    copyFileSync(whole, leaders);
    writeFileSync(`${leaders}.json`, '{"format":"leaders-i32/1"');
    await expect(load()).rejects.toThrow(/manifest/);
    rmSync(leaders);
    expect(existsSync(file)).toBe(true);
    expect(LeaderIndex.lies(file)).toBe(false);
  });
});
