import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { errorMessage, KernelEvolveError } from "../../domain/index.ts";
import { Best } from "./best.ts";
import { vectorFault } from "./embedder.ts";
import type { ExactIndex } from "./exact.ts";
import { HnswIndex } from "./hnsw.ts";
import { seal, sealBroken, sealSchema, writeAtomically } from "./seal.ts";
import type { Allowed, Neighbour, VectorIndex } from "./vector-index.ts";

const sidecarSchema = z.object({
  format: z.literal("leaders-i32/1"),
  embedder: z.string(),
  count: z.int().nonnegative(),
  seal: sealSchema,
});

/** Vectors as similar as this to a leader follow it. */
const NEAR = 0.95;
/** Largest angle between a leader and a follower, with room for rounding. */
const ANGLE = Math.acos(NEAR) + 1e-3;
/** Leaders that are looked at in a search, and how widely the leader of a new vector is searched for. */
const LEADERS = 128;
const EFFORT = 64;
/** Of a zero vector: it is near to nothing, and never found. */
const NONE = -1;
const PAUSE_EVERY = 200;

interface About {
  readonly embedder: string;
  readonly dimension: number;
}

/**
 * The graph over leaders, and a comparison of each vector that follows one of them (leader clustering; Hartigan, 1975).
 * Manuals repeat themselves: of many near copies a graph keeps links among the copies only, and searches pass them by. With one
 * point for all copies of a passage the graph stays connected, and among the copies the order is exact.
 */
export class LeaderIndex implements VectorIndex {
  readonly kind = "hnsw";
  readonly dimension: number;
  readonly #rows: ExactIndex;
  readonly #graph: HnswIndex;
  readonly #embedder: string;
  /** Label of the leader of each row. */
  readonly #leaders: Int32Array;
  /** Rows by the label of their leader. */
  readonly #followers = new Map<number, number[]>();
  readonly #allowed = new WeakMap<Allowed, Allowed>();

  private constructor(rows: ExactIndex, graph: HnswIndex, embedder: string, leaders: Int32Array) {
    this.dimension = rows.dimension;
    this.#rows = rows;
    this.#graph = graph;
    this.#embedder = embedder;
    this.#leaders = leaders;
    for (const [row, leader] of leaders.entries()) {
      if (leader === NONE) continue;
      const known = this.#followers.get(leader);
      if (known === undefined) this.#followers.set(leader, [row]);
      else known.push(row);
    }
  }

  /**
   * Goes on from `previous` where there is one: rows that it had keep their leaders. It is used up by this.
   * @param pause Awaited now and then with the rows done, so that other work goes on.
   * @throws missing_tool when hnswlib-node cannot be loaded.
   */
  static async build(
    rows: ExactIndex,
    embedder: string,
    previous?: LeaderIndex,
    pause: (done: number) => Promise<void> = async () => undefined,
  ): Promise<LeaderIndex> {
    const { count, dimension, labels } = rows;
    const usable = previous !== undefined && !previous.#graph.worn;
    const graph = usable
      ? previous.#graph
      : await HnswIndex.create({ embedder, dimension, capacity: Math.ceil(count / 4) });
    const before = new Map<number, number>();
    if (usable) {
      for (const [row, leader] of previous.#leaders.entries()) {
        before.set(previous.#rows.labels[row] ?? 0, leader);
      }
    }
    const leaders = new Int32Array(count);
    for (const [row, label] of labels.entries()) {
      leaders[row] = before.get(label) ?? leaderOf(graph, label, rows.row(row));
      if (row % PAUSE_EVERY === PAUSE_EVERY - 1) await pause(row + 1);
    }
    const built = new LeaderIndex(rows, graph, embedder, leaders);
    for (const leader of new Set(before.values())) {
      if (!built.#followers.has(leader)) graph.remove(leader);
    }
    return built;
  }

  /**
   * Reads what `save` wrote.
   * @throws corrupt when the files are not those that their manifests tell of, or are of other rows; missing_tool.
   */
  static async load(file: string, expected: About, rows: ExactIndex): Promise<LeaderIndex> {
    const graph = await HnswIndex.load(file, expected);
    const leadersFile = `${file}.leaders`;
    const wrong = (why: string): KernelEvolveError =>
      new KernelEvolveError("corrupt", `${leadersFile} ${why}`, { fix: "it is made anew by a rebuild" });
    let json: unknown;
    try {
      json = JSON.parse(readFileSync(`${leadersFile}.json`, "utf8"));
    } catch (error) {
      throw wrong(`has no readable manifest: ${errorMessage(error)}`);
    }
    const parsed = sidecarSchema.safeParse(json);
    if (!parsed.success) throw wrong("has a manifest of another form");
    const { embedder, count, seal: sealed } = parsed.data;
    if (embedder !== expected.embedder) throw wrong(`is of the embedder ${embedder}`);
    if (count !== rows.count || sealed.bytes !== 4 * count) {
      throw wrong(`tells the leaders of ${count} vectors, not of ${rows.count}`);
    }
    const broken = sealBroken(leadersFile, sealed);
    if (broken !== undefined) throw wrong(broken);
    const bytes = readFileSync(leadersFile);
    const leaders = new Int32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    const lost = leaders.find((leader) => leader !== NONE && !graph.has(leader));
    if (lost !== undefined) throw wrong(`names the leader ${lost}, which the graph has not`);
    return new LeaderIndex(rows, graph, expected.embedder, leaders);
  }

  /** Whether files of such an index lie there. */
  static lies(file: string): boolean {
    return existsSync(file) && existsSync(`${file}.leaders`);
  }

  get count(): number {
    return this.#rows.count;
  }

  /** Points of the graph. */
  get leaders(): number {
    return this.#followers.size;
  }

  /** The leaders with a follower that is allowed. */
  #leadersOf(allowed: Allowed): Allowed {
    const known = this.#allowed.get(allowed);
    if (known !== undefined) return known;
    const most = this.#leaders.reduce((max, leader) => Math.max(max, leader), 0);
    const bits = new Uint8Array(most + 1);
    for (const [row, leader] of this.#leaders.entries()) {
      if (leader !== NONE && allowed.bits[this.#rows.labels[row] ?? 0] === 1) bits[leader] = 1;
    }
    const made = { bits, count: bits.reduce((sum, bit) => sum + bit, 0) };
    this.#allowed.set(allowed, made);
    return made;
  }

  search(query: Float32Array, k: number, allowed?: Allowed): Neighbour[] {
    const leaders = this.#graph.search(
      query,
      Math.max(LEADERS, 2 * k),
      allowed === undefined ? undefined : this.#leadersOf(allowed),
    );
    const best = new Best(Math.max(0, k));
    for (const { label: leader, similarity } of leaders) {
      const angle = Math.acos(Math.max(-1, Math.min(1, similarity)));
      // Followers of this leader, and of those that come after it, cannot be nearer than this.
      if (Math.cos(Math.max(0, angle - ANGLE)) < best.bar) break;
      for (const row of this.#followers.get(leader) ?? []) {
        const label = this.#rows.labels[row] ?? 0;
        if (allowed !== undefined && allowed.bits[label] !== 1) continue;
        const near = this.#rows.similarity(row, query);
        if (near >= best.bar) best.put(label, near);
      }
    }
    return best.list();
  }

  /** @throws infrastructure when the files cannot be written. */
  async save(file: string): Promise<void> {
    const leaders = `${file}.leaders`;
    const { buffer, byteOffset, byteLength } = this.#leaders;
    await this.#graph.save(file);
    writeFileSync(leaders, new Uint8Array(buffer, byteOffset, byteLength));
    writeAtomically(
      `${leaders}.json`,
      JSON.stringify({
        format: "leaders-i32/1",
        embedder: this.#embedder,
        count: this.#leaders.length,
        seal: seal(leaders),
      } satisfies z.infer<typeof sidecarSchema>),
    );
  }
}

/** The label of the leader that a vector follows; its own when it becomes one. */
function leaderOf(graph: HnswIndex, label: number, vector: Float32Array): number {
  const fault = vectorFault(vector, graph.dimension);
  if (fault !== undefined) throw new KernelEvolveError("invalid_argument", `vector ${label} ${fault}`);
  if (vector.every((value) => value === 0)) return NONE;
  const [nearest] = graph.search(vector, 1, undefined, EFFORT);
  if (nearest !== undefined && nearest.similarity >= NEAR) return nearest.label;
  graph.add(label, vector);
  return label;
}
