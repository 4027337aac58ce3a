import { closeSync, fstatSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { z } from "zod";
import { errorMessage, KernelEvolveError } from "../../domain/index.ts";
import { Best } from "./best.ts";
import { vectorFault } from "./embedder.ts";
import { ExactIndex } from "./exact.ts";
import { seal, sealBroken, sealSchema, writeAtomically } from "./seal.ts";
import type { Allowed, Neighbour, VectorIndex } from "./vector-index.ts";

const FORMAT = "columns-f32/1";
const sidecarSchema = z.object({
  format: z.literal(FORMAT),
  embedder: z.string(),
  dimension: z.int().positive(),
  space: z.literal("ip"),
  count: z.int().nonnegative(),
  /** CRC-32 of the labels, then of each column: a column is checked when it is first read. */
  checks: z.array(z.int()),
  seal: sealSchema,
});
type Sidecar = z.infer<typeof sidecarSchema>;

/** Columns that are turned together when the file is written: one cache line of each row. */
const BAND = 16;
const WIDTH = 4;

function bytesOf(values: Int32Array | Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function corrupt(file: string, why: string, cause?: unknown): KernelEvolveError {
  return new KernelEvolveError("corrupt", `${file} ${why}`, {
    fix: "it is made anew by a rebuild",
    ...(cause === undefined ? {} : { cause }),
  });
}

/**
 * Writes labels (int32), then one column (float32) a dimension, and a manifest beside them, which is written last.
 * `pause` is awaited now and then, so that other work goes on.
 */
export async function writeColumns(
  file: string,
  embedder: string,
  { count, dimension, labels, vectors }: ExactIndex,
  pause: () => Promise<void> = async () => undefined,
): Promise<void> {
  const checks: number[] = [];
  const fd = openSync(file, "w");
  const put = (values: Int32Array | Float32Array): void => {
    const bytes = bytesOf(values);
    checks.push(crc32(bytes));
    for (let at = 0; at < bytes.length; at += writeSync(fd, bytes, at, bytes.length - at));
  };
  try {
    put(labels);
    const band = new Float32Array(BAND * count);
    for (let from = 0; from < dimension; from += BAND) {
      const width = Math.min(BAND, dimension - from);
      for (let row = 0, base = from; row < count; row += 1, base += dimension) {
        for (let at = 0; at < width; at += 1) band[at * count + row] = vectors[base + at] ?? 0;
      }
      for (let at = 0; at < width; at += 1) put(band.subarray(at * count, (at + 1) * count));
      await pause();
    }
  } finally {
    closeSync(fd);
  }
  const sidecar: Sidecar = {
    format: FORMAT,
    embedder,
    dimension,
    space: "ip",
    count,
    checks,
    seal: seal(file),
  };
  writeAtomically(`${file}.json`, JSON.stringify(sidecar));
}

/**
 * An exact scan for questions that are zero in most dimensions: vectors lie column by column, and only the columns that a question
 * names are read, from disk at the first time, and summed up.
 */
export class ColumnIndex implements VectorIndex {
  readonly kind = "columns";
  readonly dimension: number;
  readonly labels: Int32Array;
  readonly #file: string;
  readonly #sidecar: Sidecar;
  readonly #columns = new Map<number, Float32Array>();
  readonly #sums: Float32Array;

  private constructor(file: string, sidecar: Sidecar, labels: Int32Array) {
    this.#file = file;
    this.#sidecar = sidecar;
    this.dimension = sidecar.dimension;
    this.labels = labels;
    this.#sums = new Float32Array(labels.length);
  }

  /** @throws corrupt when the file is not the one that its manifest tells of, or not the one that is expected. */
  static load(
    file: string,
    expected: { readonly embedder: string; readonly dimension: number; readonly count: number },
  ): ColumnIndex {
    let json: unknown;
    try {
      json = JSON.parse(readFileSync(`${file}.json`, "utf8"));
    } catch (error) {
      throw corrupt(file, `has no readable manifest: ${errorMessage(error)}`, error);
    }
    const parsed = sidecarSchema.safeParse(json);
    if (!parsed.success) throw corrupt(file, "has a manifest of another form");
    const { data } = parsed;
    const { count, dimension, checks, embedder } = data;
    if (embedder !== expected.embedder) throw corrupt(file, `is of the embedder ${embedder}`);
    if (dimension !== expected.dimension || count !== expected.count) {
      throw corrupt(
        file,
        `holds ${count} vectors of ${dimension} dimensions, not ${expected.count} of ${expected.dimension}`,
      );
    }
    if (data.seal.bytes !== WIDTH * count * (1 + dimension) || checks.length !== 1 + dimension) {
      throw corrupt(file, "does not hold what its manifest says");
    }
    const broken = sealBroken(file, data.seal);
    if (broken !== undefined) throw corrupt(file, broken);
    const labels = new Int32Array(count);
    readParts(file, data, [{ part: 0, into: labels }]);
    return new ColumnIndex(file, data, labels);
  }

  get count(): number {
    return this.labels.length;
  }

  /** Reads the columns of these dimensions that were not read yet. @throws corrupt. */
  #load(dimensions: readonly number[]): Float32Array[] {
    const missing = dimensions.filter((at) => !this.#columns.has(at));
    if (missing.length > 0) {
      const parts = missing.map((at) => ({ part: at + 1, into: new Float32Array(this.count) }));
      readParts(this.#file, this.#sidecar, parts);
      for (const { part, into } of parts) this.#columns.set(part - 1, into);
    }
    return dimensions.map((at) => this.#columns.get(at) ?? new Float32Array(this.count));
  }

  search(query: Float32Array, k: number, allowed?: Allowed): Neighbour[] {
    const fault = vectorFault(query, this.dimension);
    if (fault !== undefined) throw new KernelEvolveError("invalid_argument", `query vector ${fault}`);
    const named = [...query.keys()].filter((at) => query[at] !== 0);
    const sums = this.#sums.fill(0);
    const columns = this.#load(named);
    for (let from = 0; from < named.length; from += 8) {
      addEight(
        sums,
        columns.slice(from, from + 8),
        named.slice(from, from + 8).map((at) => query[at] ?? 0),
      );
    }
    const best = new Best(Math.max(0, k));
    const { labels } = this;
    let { bar } = best;
    for (let row = 0; row < sums.length; row += 1) {
      const sum = sums[row] ?? 0;
      if (sum < bar) continue;
      const label = labels[row] ?? 0;
      if (allowed !== undefined && allowed.bits[label] !== 1) continue;
      best.put(label, sum);
      bar = best.bar;
    }
    return best.list();
  }

  /** All vectors, row by row. @throws corrupt. */
  rows(): ExactIndex {
    const { count, dimension } = this;
    const vectors = new Float32Array(count * dimension);
    const column = new Float32Array(count);
    for (let at = 0; at < dimension; at += 1) {
      readParts(this.#file, this.#sidecar, [{ part: 1 + at, into: column }]);
      for (let row = 0, to = at; row < count; row += 1, to += dimension) vectors[to] = column[row] ?? 0;
    }
    return new ExactIndex(dimension, this.labels, vectors);
  }
}

/** Part 0 are the labels, part 1 + d is the column of dimension d. @throws corrupt when one is not what was written. */
function readParts(
  file: string,
  { count, checks, seal: sealed }: Sidecar,
  parts: readonly { part: number; into: Int32Array | Float32Array }[],
): void {
  let fd: number;
  try {
    fd = openSync(file, "r");
  } catch (error) {
    throw corrupt(file, `cannot be read: ${errorMessage(error)}`, error);
  }
  try {
    const { size } = fstatSync(fd);
    if (size !== sealed.bytes) throw corrupt(file, `has ${size} bytes, not ${sealed.bytes}`);
    for (const { part, into } of parts) {
      const bytes = bytesOf(into);
      const start = part * WIDTH * count;
      for (let at = 0; at < bytes.length; ) {
        const got = readSync(fd, bytes, at, bytes.length - at, start + at);
        if (got === 0) throw corrupt(file, "ends too early");
        at += got;
      }
      if (crc32(bytes) !== checks[part]) throw corrupt(file, "has other contents than were written");
    }
  } finally {
    closeSync(fd);
  }
}

/** Adds up to eight weighted columns to the sums: eight at a time, so that the sums are read and written an eighth as often. */
function addEight(sums: Float32Array, columns: readonly Float32Array[], weights: readonly number[]): void {
  const [a = sums, b = a, c = a, d = a, e = a, f = a, g = a, h = a] = columns;
  const [p = 0, q = 0, r = 0, s = 0, t = 0, u = 0, v = 0, w = 0] = weights;
  for (let row = 0; row < sums.length; row += 1) {
    sums[row] =
      (sums[row] ?? 0) +
      (p * (a[row] ?? 0) + q * (b[row] ?? 0) + (r * (c[row] ?? 0) + s * (d[row] ?? 0))) +
      (t * (e[row] ?? 0) + u * (f[row] ?? 0) + (v * (g[row] ?? 0) + w * (h[row] ?? 0)));
  }
}
