import { z } from "zod";
import {
  type Claim,
  claimSchema,
  KernelEvolveError,
  type Node,
  nodeSchema,
  type Run,
  runSchema,
} from "../domain/index.ts";
import type { Database } from "./database.ts";
import { countRow, jsonRow, parseJson } from "./rows.ts";

/** A node with what only the store keeps: its near-duplicate key. */
export interface NewNode {
  readonly node: Omit<Node, "step" | "commit">;
  readonly source: string;
  /** Key under which near-duplicates meet (normalised source). */
  readonly dedup: string;
}

export interface RunTotals {
  readonly nodes: number;
  readonly passed: number;
  readonly device_seconds: number;
  /** Nodes since the best one, all of them when none has a fitness. */
  readonly since_best: number;
  readonly seconds: number;
}

const nodeRow = z.object({ json: z.string(), step: z.number(), commit_id: z.string().nullable() });
const NODE = "SELECT n.json, n.step, c.commit_id FROM nodes n LEFT JOIN node_commits c ON c.node = n.id";

/** Runs, nodes, edges and claims. Nodes are insert-only; every method that writes is one transaction. */
export class GraphRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  #node(row: z.infer<typeof nodeRow>): Node {
    const stored = parseJson(nodeSchema.omit({ step: true, commit: true }), row.json, "node");
    return { ...stored, step: row.step, ...(row.commit_id === null ? {} : { commit: row.commit_id }) };
  }

  /** Inserts a run; with a key that was used before, the run of then is answered. */
  createRun(run: Run, idempotencyKey?: string): Run {
    return this.#db.transaction(() => {
      if (idempotencyKey !== undefined) {
        const known = this.#db.get(
          jsonRow,
          "SELECT json FROM runs WHERE idempotency_key = ?",
          idempotencyKey,
        );
        if (known !== undefined) return parseJson(runSchema, known.json, "run");
      }
      this.#db.run(
        "INSERT INTO runs (id, json, state, created_at, idempotency_key) VALUES (?, ?, ?, ?, ?)",
        run.id,
        JSON.stringify(run),
        run.state,
        run.created_at,
        idempotencyKey ?? null,
      );
      this.#db.run("INSERT INTO activity (run, seconds) VALUES (?, 0)", run.id);
      return run;
    });
  }

  run(id: string): Run | undefined {
    const row = this.#db.get(jsonRow, "SELECT json FROM runs WHERE id = ?", id);
    return row === undefined ? undefined : parseJson(runSchema, row.json, "run");
  }

  runs(): Run[] {
    return this.#db
      .all(jsonRow, "SELECT json FROM runs ORDER BY created_at DESC, id")
      .map((row) => parseJson(runSchema, row.json, "run"));
  }

  /** Replaces the mutable part of a run (state, stop reason, finished_at). */
  updateRun(run: Run): void {
    this.#db.transaction(() =>
      this.#db.run(
        "UPDATE runs SET json = ?, state = ? WHERE id = ?",
        JSON.stringify(run),
        run.state,
        run.id,
      ),
    );
  }

  /** Adds to the seconds a run has been worked on; the time a server was down does not count. */
  addActivity(run: string, seconds: number): void {
    this.#db.transaction(() =>
      this.#db.run("UPDATE activity SET seconds = seconds + ? WHERE run = ?", seconds, run),
    );
  }

  /**
   * Counts the time since the run's last beat as active when it is at most `gapMs`, and makes `nowMs` the last beat: several
   * processes on one run count a moment once, and a time in which none of them lived not at all.
   */
  beat(run: string, nowMs: number, gapMs: number): void {
    this.#db.transaction(() =>
      this.#db.run(
        `UPDATE activity SET seconds = seconds + CASE WHEN ?1 - beat_ms BETWEEN 0 AND ?2 THEN (?1 - beat_ms) / 1000.0 ELSE 0 END,
         beat_ms = max(beat_ms, ?1) WHERE run = ?3`,
        nowMs,
        gapMs,
        run,
      ),
    );
  }

  /** Seconds that the run has been worked on. */
  activeSeconds(run: string): number {
    const row = this.#db.get(
      z.object({ seconds: z.number() }),
      "SELECT seconds FROM activity WHERE run = ?",
      run,
    );
    return row?.seconds ?? 0;
  }

  /** Runs `work` as one transaction: what it reads holds until what it writes is on disk. */
  atomically<T>(work: () => T): T {
    return this.#db.transaction(work);
  }

  node(id: string): Node | undefined {
    const row = this.#db.get(nodeRow, `${NODE} WHERE n.id = ?`, id);
    return row === undefined ? undefined : this.#node(row);
  }

  source(candidate: string): string | undefined {
    return this.#db.get(
      z.object({ source: z.string() }),
      "SELECT source FROM candidates WHERE hash = ?",
      candidate,
    )?.source;
  }

  nodes(
    run: string,
    filter: {
      verdict?: string;
      limit?: number;
      offset?: number;
      order?: "step" | "fitness";
      after_step?: number;
    } = {},
  ): Node[] {
    const where = ["n.run = ?", "n.step > ?"];
    const values: (string | number)[] = [run, filter.after_step ?? -1];
    if (filter.verdict !== undefined) {
      where.push("n.verdict = ?");
      values.push(filter.verdict);
    }
    const order = filter.order === "fitness" ? "n.fitness DESC, n.step" : "n.step";
    return this.#db
      .all(
        nodeRow,
        `${NODE} WHERE ${where.join(" AND ")} ORDER BY ${order} LIMIT ? OFFSET ?`,
        ...values,
        filter.limit ?? 1_000_000,
        filter.offset ?? 0,
      )
      .map((row) => this.#node(row));
  }

  /** The node of highest credited fitness, undefined while none is credited. */
  best(run: string): Node | undefined {
    const row = this.#db.get(
      nodeRow,
      `${NODE} WHERE n.run = ? AND n.fitness > 0 ORDER BY n.fitness DESC, n.step LIMIT 1`,
      run,
    );
    return row === undefined ? undefined : this.#node(row);
  }

  /** Credited nodes, best first: what a policy expands. */
  frontier(run: string, limit: number): Node[] {
    return this.#db
      .all(
        nodeRow,
        `${NODE} WHERE n.run = ? AND n.fitness > 0 ORDER BY n.fitness DESC, n.step LIMIT ?`,
        run,
        limit,
      )
      .map((row) => this.#node(row));
  }

  /** All ancestors of a node, nearest first. */
  ancestors(id: string, limit = 1000): Node[] {
    return this.#db
      .all(
        nodeRow,
        `WITH RECURSIVE up (id, depth) AS (
           SELECT parent, 1 FROM node_parents WHERE child = ?
           UNION SELECT p.parent, up.depth + 1 FROM node_parents p JOIN up ON p.child = up.id WHERE up.depth < 10000
         ) ${NODE} JOIN (SELECT id, min(depth) AS depth FROM up GROUP BY id) a ON a.id = n.id ORDER BY a.depth, n.step DESC LIMIT ?`,
        id,
        limit,
      )
      .map((row) => this.#node(row));
  }

  /** Other children of the node's parents, newest first. */
  siblings(id: string, limit = 100): Node[] {
    return this.#db
      .all(
        nodeRow,
        `${NODE} WHERE n.id IN (SELECT s.child FROM node_parents p JOIN node_parents s ON s.parent = p.parent
          WHERE p.child = ? AND s.child <> ?) ORDER BY n.step DESC LIMIT ?`,
        id,
        id,
        limit,
      )
      .map((row) => this.#node(row));
  }

  children(id: string, limit = 1000): Node[] {
    return this.#db
      .all(
        nodeRow,
        `${NODE} WHERE n.id IN (SELECT child FROM node_parents WHERE parent = ?) ORDER BY n.step LIMIT ?`,
        id,
        limit,
      )
      .map((row) => this.#node(row));
  }

  /** The first node of the run with this near-duplicate key; one that was judged before one that the machinery failed on. */
  twin(run: string, dedup: string): Node | undefined {
    const row = this.#db.get(
      nodeRow,
      `${NODE} WHERE n.run = ? AND n.dedup = ? ORDER BY n.status = 'infrastructure_error', n.step LIMIT 1`,
      run,
      dedup,
    );
    return row === undefined ? undefined : this.#node(row);
  }

  totals(run: string): RunTotals {
    const schema = z.object({
      nodes: z.number(),
      passed: z.number(),
      device: z.number().nullable(),
      last: z.number().nullable(),
    });
    const sums = this.#db.get(
      schema,
      "SELECT count(*) AS nodes, coalesce(sum(verdict = 'passed'), 0) AS passed, sum(device_seconds) AS device, max(step) AS last FROM nodes WHERE run = ?",
      run,
    );
    const best = this.best(run);
    const nodes = sums?.nodes ?? 0;
    const seconds =
      this.#db.get(z.object({ seconds: z.number() }), "SELECT seconds FROM activity WHERE run = ?", run)
        ?.seconds ?? 0;
    return {
      nodes,
      passed: sums?.passed ?? 0,
      device_seconds: sums?.device ?? 0,
      since_best: best === undefined ? nodes : (sums?.last ?? 0) - best.step,
      seconds,
    };
  }

  /** Records a claim and the prompt that went with it, unless the run is not open. */
  createClaim(claim: Claim, prompt: string): void {
    this.#db.transaction(() => {
      const run = this.run(claim.run);
      if (run?.state !== "open")
        throw new KernelEvolveError(
          "budget_spent",
          `run ${claim.run} is ${run?.state ?? "unknown"}: it takes no new claims`,
        );
      this.#db.run(
        "INSERT INTO claims (id, run, state, expires_ms, prompt, node, json) VALUES (?, ?, ?, ?, ?, NULL, ?)",
        claim.id,
        claim.run,
        claim.state,
        Date.parse(claim.expires_at),
        prompt,
        JSON.stringify(claim),
      );
    });
  }

  /** The claim as it stands now: an open one past its time is expired. */
  claim(id: string, now = Date.now()): Claim | undefined {
    const row = this.#db.get(
      z.object({ json: z.string(), state: z.string(), node: z.string().nullable(), expires_ms: z.number() }),
      "SELECT json, state, node, expires_ms FROM claims WHERE id = ?",
      id,
    );
    if (row === undefined) return undefined;
    const claim = parseJson(claimSchema, row.json, "claim");
    const state =
      row.state === "submitted"
        ? "submitted"
        : row.expires_ms <= now || row.state === "expired"
          ? "expired"
          : "open";
    return { ...claim, state, ...(row.node === null ? {} : { node: row.node }) };
  }

  /** Keeps the prompt that went out with a claim, for audit and replay. */
  setPrompt(claim: string, prompt: string): void {
    this.#db.transaction(() => this.#db.run("UPDATE claims SET prompt = ? WHERE id = ?", prompt, claim));
  }

  prompt(claim: string): string | undefined {
    return this.#db.get(z.object({ prompt: z.string() }), "SELECT prompt FROM claims WHERE id = ?", claim)
      ?.prompt;
  }

  openClaims(run: string, now = Date.now()): Claim[] {
    return this.#db
      .all(jsonRow, "SELECT json FROM claims WHERE run = ? AND state = 'open' AND expires_ms > ?", run, now)
      .map((row) => parseJson(claimSchema, row.json, "claim"));
  }

  countOpenClaims(run: string, now = Date.now()): number {
    return (
      this.#db.get(
        countRow,
        "SELECT count(*) AS n FROM claims WHERE run = ? AND state = 'open' AND expires_ms > ?",
        run,
        now,
      )?.n ?? 0
    );
  }

  /** Claims that the run has ever given. */
  countClaims(run: string): number {
    return this.#db.get(countRow, "SELECT count(*) AS n FROM claims WHERE run = ?", run)?.n ?? 0;
  }

  /** Keeps an open claim open until `untilMs` at least: its child is being evaluated. */
  renewClaim(id: string, untilMs: number): void {
    this.#db.transaction(() =>
      this.#db.run(
        "UPDATE claims SET expires_ms = max(expires_ms, ?) WHERE id = ? AND state = 'open'",
        untilMs,
        id,
      ),
    );
  }

  /** Answers a claim with a node that the run already has (a near-duplicate was handed in). */
  answerClaim(id: string, node: string): void {
    this.#db.transaction(() =>
      this.#db.run(
        "UPDATE claims SET state = 'submitted', node = ? WHERE id = ? AND state = 'open'",
        node,
        id,
      ),
    );
  }

  /** Gives a claim's time back to the run without a child. */
  releaseClaim(id: string): void {
    this.#db.transaction(() =>
      this.#db.run("UPDATE claims SET state = 'expired' WHERE id = ? AND state = 'open'", id),
    );
  }

  /**
   * Records a child: candidate, node, edges and the claim's end in one transaction that is on disk when this returns.
   * The step is the next of the run. The same claim a second time answers the node it made.
   * @throws expired, conflict or budget_spent; then nothing is written.
   */
  insertNode(input: NewNode, now = Date.now()): { node: Node; existing: boolean } {
    return this.#db.transaction(() => {
      const { node, source, dedup } = input;
      if (node.claim !== undefined) {
        const claim = this.claim(node.claim, now);
        if (claim === undefined) throw new KernelEvolveError("not_found", `claim ${node.claim} is unknown`);
        if (claim.run !== node.run)
          throw new KernelEvolveError("conflict", `claim ${node.claim} belongs to run ${claim.run}`);
        if (claim.state === "submitted" && claim.node !== undefined) {
          const made = this.node(claim.node);
          if (made?.candidate === node.candidate) return { node: made, existing: true };
          throw new KernelEvolveError(
            "conflict",
            `claim ${node.claim} was already answered with another source`,
            {
              fix: "call evolve_next for a new claim",
            },
          );
        }
        if (claim.state === "expired") {
          throw new KernelEvolveError(
            "expired",
            `claim ${node.claim} has expired; its place was given back`,
            { fix: "call evolve_next for a new claim" },
          );
        }
      }
      const last = this.#db.get(
        z.object({ value: z.number().nullable() }),
        "SELECT max(step) AS value FROM nodes WHERE run = ?",
        node.run,
      )?.value;
      const step = (last ?? -1) + 1;
      this.#db.run("INSERT OR IGNORE INTO candidates (hash, source) VALUES (?, ?)", node.candidate, source);
      this.#db.run(
        `INSERT INTO nodes (id, run, step, operator, candidate, dedup, evaluation, verdict, status, fitness, island, claim, device_seconds, json, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        node.id,
        node.run,
        step,
        node.operator,
        node.candidate,
        dedup,
        node.evaluation,
        node.verdict,
        node.status,
        node.fitness,
        node.island,
        node.claim ?? null,
        node.device_seconds,
        JSON.stringify(node),
        node.created_at,
      );
      node.parents.forEach((parent, ord) => {
        this.#db.run("INSERT INTO node_parents (child, ord, parent) VALUES (?, ?, ?)", node.id, ord, parent);
      });
      if (node.claim !== undefined)
        this.#db.run("UPDATE claims SET state = 'submitted', node = ? WHERE id = ?", node.id, node.claim);
      return { node: { ...node, step }, existing: false };
    });
  }

  /** Remembers the commit in which a node's source is archived. */
  setCommit(node: string, commit: string): void {
    this.#db.transaction(() =>
      this.#db.run("INSERT OR REPLACE INTO node_commits (node, commit_id) VALUES (?, ?)", node, commit),
    );
  }

  /** Nodes that are not in the archive yet (a crash between the two), in step order. */
  unarchived(run: string): Node[] {
    return this.#db
      .all(nodeRow, `${NODE} WHERE n.run = ? AND c.commit_id IS NULL ORDER BY n.step`, run)
      .map((row) => this.#node(row));
  }

  /** Status counts of a run, for reports. */
  statusCounts(run: string): Record<string, number> {
    const rows = this.#db.all(
      z.object({ status: z.string(), n: z.number() }),
      "SELECT status, count(*) AS n FROM nodes WHERE run = ? GROUP BY status",
      run,
    );
    return Object.fromEntries(rows.map((row) => [row.status, row.n]));
  }
}
