import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { randomFrom } from "../../src/evolution/random.ts";
import { ColumnIndex, writeColumns } from "../../src/knowledge/dense/columns.ts";
import { normalise } from "../../src/knowledge/dense/embedder.ts";
import { ExactIndex } from "../../src/knowledge/dense/exact.ts";
import type { Allowed } from "../../src/knowledge/dense/vector-index.ts";

const DIMENSION = 45;
const COUNT = 700;
const EXPECTED = { embedder: "e", dimension: DIMENSION, count: COUNT };

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kernelevolve-columns-"));
  file = join(folder, "vectors.col");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function rowsOf(seed: string, count = COUNT): ExactIndex {
  const random = randomFrom("columns", seed);
  return ExactIndex.of(
    DIMENSION,
    Array.from({ length: count }, (_, row) => ({
      label: 3 * row + 1,
      vector: normalise(Float32Array.from({ length: DIMENSION }, () => random.next() - 0.5)),
    })),
  );
}

/** A question that names some dimensions only. */
function question(seed: string, named: number): Float32Array {
  const random = randomFrom("question", seed);
  const vector = new Float32Array(DIMENSION);
  for (let at = 0; at < named; at += 1) vector[random.integer(DIMENSION)] = random.next() - 0.5;
  return normalise(vector);
}

function allow(every: number): Allowed {
  const bits = new Uint8Array(3 * COUNT + 1);
  let count = 0;
  for (let row = 0; row < COUNT; row += every) {
    bits[3 * row + 1] = 1;
    count += 1;
  }
  return { bits, count };
}

async function written(rows: ExactIndex): Promise<ColumnIndex> {
  await writeColumns(file, "e", rows);
  return ColumnIndex.load(file, { ...EXPECTED, count: rows.count });
}

describe("columns", () => {
  test("find what a scan of the rows finds, whatever a question names and the filter lets through", async () => {
    const rows = rowsOf("oracle");
    const columns = await written(rows);
    for (const named of [1, 2, 7, 8, 9, 16, 30, 400]) {
      for (const allowed of [undefined, allow(3), allow(250)]) {
        const query = question(`${named}`, named);
        for (const k of [1, 10, 60, 1000]) {
          const truth = rows.search(query, k, allowed);
          const got = columns.search(query, k, allowed);
          expect(got.map(({ label }) => label)).toEqual(truth.map(({ label }) => label));
          for (const [at, { similarity }] of got.entries()) {
            expect(similarity).toBeCloseTo(truth[at]?.similarity ?? Number.NaN, 5);
          }
        }
      }
    }
    expect(columns.search(question("none", 3), 0)).toEqual([]);
    expect(columns.search(question("none", 3), 5, { bits: new Uint8Array(0), count: 0 })).toEqual([]);
  });

  test("equal similarities come by label; a question that names nothing is as far from all", async () => {
    const same = normalise(new Float32Array(DIMENSION).fill(1));
    const columns = await written(
      ExactIndex.of(
        DIMENSION,
        [9, 4, 6].map((label) => ({ label, vector: same })),
      ),
    );
    expect(columns.search(same, 2).map(({ label }) => label)).toEqual([4, 6]);
    expect(columns.search(new Float32Array(DIMENSION), 3).map(({ label }) => label)).toEqual([4, 6, 9]);
    const bad = same.slice();
    bad[3] = Number.NaN;
    expect(() => columns.search(bad, 1)).toThrow(/no number/);
    expect(() => columns.search(new Float32Array(3), 1)).toThrow(/dimensions/);
  });

  test("give the rows back as they were", async () => {
    const rows = rowsOf("back");
    const again = (await written(rows)).rows();
    expect(again.labels).toEqual(rows.labels);
    expect(again.vectors).toEqual(rows.vectors);
  });
});

describe("a file that is not what was written", () => {
  const query = question("q", 9);

  test("truncated, empty, missing, or with no manifest", async () => {
    await written(rowsOf("whole"));
    const load = (): ColumnIndex => ColumnIndex.load(file, EXPECTED);
    const whole = readFileSync(file);
    truncateSync(file, whole.length - 4);
    expect(load).toThrow(/bytes, not/);
    writeFileSync(file, "");
    expect(load).toThrow(/bytes, not/);
    rmSync(file);
    expect(load).toThrow(/is missing/);
    writeFileSync(file, whole);
    expect(load().search(query, 3)).toHaveLength(3);
    // As a process leaves it that was killed before the manifest was written.
    rmSync(`${file}.json`);
    expect(load).toThrow(/no readable manifest/);
    writeFileSync(`${file}.json`, '{"format":"columns-f32/1"');
    expect(load).toThrow(/no readable manifest/);
    writeFileSync(`${file}.json`, "[]");
    expect(load).toThrow(/manifest of another form/);
  });

  test("of another embedder, dimension, number of vectors or index", async () => {
    await written(rowsOf("whole"));
    expect(() => ColumnIndex.load(file, { ...EXPECTED, embedder: "f" })).toThrow(/of the embedder e/);
    expect(() => ColumnIndex.load(file, { ...EXPECTED, dimension: 4 })).toThrow(
      /45 dimensions, not 700 of 4/,
    );
    expect(() => ColumnIndex.load(file, { ...EXPECTED, count: 2 })).toThrow(/700 vectors .* not 2/);
    const other = join(folder, "other.col");
    await writeColumns(other, "e", rowsOf("other"));
    copyFileSync(other, file);
    expect(() => ColumnIndex.load(file, EXPECTED)).toThrow(/other contents/);
  });

  /** Changes one byte; the time of the file stays, so that only its contents tell. */
  function flip(at: number): void {
    const { atime, mtime } = statSync(file);
    const bytes = readFileSync(file);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 0x40, at);
    writeFileSync(file, bytes);
    utimesSync(file, atime, mtime);
  }

  test("one changed byte is found with the labels, or with the column, also when that is read later", async () => {
    const at = 11;
    const only = new Float32Array(DIMENSION);
    only[at] = 1;
    const columns = await written(rowsOf("whole"));
    const before = columns.search(question("other", 0), 1);
    flip(4 * COUNT * (1 + at) + 100);
    expect(() => columns.search(only, 3)).toThrow(/other contents/);
    expect(() => columns.rows()).toThrow(/other contents/);
    // What was not changed still answers.
    expect(columns.search(question("other", 0), 1)).toEqual(before);
    flip(4 * COUNT * (1 + at) + 100);
    flip(8);
    expect(() => ColumnIndex.load(file, EXPECTED)).toThrow(/other contents/);
    flip(8);
    const late = ColumnIndex.load(file, EXPECTED);
    truncateSync(file, 50);
    expect(() => late.search(only, 3)).toThrow(/bytes, not/);
    rmSync(file);
    expect(() => late.search(only, 3)).toThrow(/cannot be read/);
  });
});
