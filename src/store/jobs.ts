import { z } from "zod";
import { JOB_STATES } from "../domain/index.ts";
import type { Database } from "./database.ts";

const jobRow = z.object({
  id: z.string(),
  kind: z.string(),
  state: z.enum(JOB_STATES),
  args: z.string(),
  progress: z.number(),
  total: z.number().nullable(),
  message: z.string(),
  result: z.string().nullable(),
  error: z.string().nullable(),
  owner: z.string().nullable(),
  heartbeat_ms: z.number(),
  created_at: z.string(),
  updated_at: z.string(),
});
export type JobRow = z.infer<typeof jobRow>;
const COLUMNS =
  "id, kind, state, args, progress, total, message, result, error, owner, heartbeat_ms, created_at, updated_at";

/** Jobs as rows; who runs one is its `owner`, kept alive by a heartbeat. */
export class JobRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  get(id: string): JobRow | undefined {
    return this.#db.get(jobRow, `SELECT ${COLUMNS} FROM jobs WHERE id = ?`, id);
  }

  list(state?: string): JobRow[] {
    return state === undefined
      ? this.#db.all(jobRow, `SELECT ${COLUMNS} FROM jobs ORDER BY created_at DESC, id LIMIT 500`)
      : this.#db.all(
          jobRow,
          `SELECT ${COLUMNS} FROM jobs WHERE state = ? ORDER BY created_at, id LIMIT 500`,
          state,
        );
  }

  /** Inserts a queued job; with a key that a live job has, that job is answered instead. */
  create(id: string, kind: string, args: string, key: string | undefined, now: string): JobRow {
    return this.#db.transaction(() => {
      const known =
        key === undefined
          ? undefined
          : this.#db.get(
              jobRow,
              `SELECT ${COLUMNS} FROM jobs WHERE idempotency_key = ? AND state IN ('queued', 'running')`,
              key,
            );
      if (known !== undefined) return known;
      this.#db.run(
        `INSERT INTO jobs (id, kind, state, args, idempotency_key, progress, message, heartbeat_ms, created_at, updated_at)
         VALUES (?, ?, 'queued', ?, ?, 0, 'queued', 0, ?, ?)`,
        id,
        kind,
        args,
        key ?? null,
        now,
        now,
      );
      const made = this.get(id);
      if (made === undefined) throw new Error("the job just inserted is missing");
      return made;
    });
  }

  /** Takes a queued job, or a running one whose owner has stopped its heartbeat. Only one taker succeeds. */
  take(id: string, owner: string, nowMs: number, staleMs: number): boolean {
    return (
      this.#db.transaction(() =>
        this.#db.run(
          "UPDATE jobs SET state = 'running', owner = ?, heartbeat_ms = ?, message = 'running' WHERE id = ? AND (state = 'queued' OR (state = 'running' AND owner <> ? AND heartbeat_ms < ?))",
          owner,
          nowMs,
          id,
          owner,
          nowMs - staleMs,
        ),
      ) === 1
    );
  }

  /** Puts a job that this owner ran back into the queue (the server is closing). */
  requeue(id: string, owner: string): void {
    this.#db.transaction(() =>
      this.#db.run(
        "UPDATE jobs SET state = 'queued', owner = NULL, message = 'waiting for a server' WHERE id = ? AND owner = ? AND state = 'running'",
        id,
        owner,
      ),
    );
  }

  /** Jobs nobody runs: queued, or running under an owner that is gone. */
  orphans(isDead: (owner: string) => boolean, nowMs: number, staleMs: number): JobRow[] {
    return this.#db
      .all(jobRow, `SELECT ${COLUMNS} FROM jobs WHERE state IN ('queued', 'running') ORDER BY created_at, id`)
      .filter(
        (row) =>
          row.state === "queued" ||
          row.heartbeat_ms < nowMs - staleMs ||
          (row.owner !== null && isDead(row.owner)),
      );
  }

  /** Declares the heartbeat of a dead owner's job stale, so that `take` succeeds at once. */
  expire(id: string, owner: string): void {
    this.#db.transaction(() =>
      this.#db.run(
        "UPDATE jobs SET heartbeat_ms = 0 WHERE id = ? AND owner = ? AND state = 'running'",
        id,
        owner,
      ),
    );
  }

  beat(owner: string, nowMs: number): void {
    this.#db.transaction(() =>
      this.#db.run("UPDATE jobs SET heartbeat_ms = ? WHERE owner = ? AND state = 'running'", nowMs, owner),
    );
  }

  progress(id: string, progress: number, total: number | undefined, message: string, now: string): void {
    this.#db.transaction(() =>
      this.#db.run(
        "UPDATE jobs SET progress = max(progress, ?), total = ?, message = ?, updated_at = ? WHERE id = ? AND state = 'running'",
        progress,
        total ?? null,
        message,
        now,
        id,
      ),
    );
  }

  /** Ends a job once; a job that has ended stays as it is. */
  finish(
    id: string,
    state: "done" | "failed" | "cancelled",
    result: string | null,
    error: string | null,
    message: string,
    now: string,
  ): void {
    this.#db.transaction(() =>
      this.#db.run(
        "UPDATE jobs SET state = ?, result = ?, error = ?, message = ?, updated_at = ? WHERE id = ? AND state IN ('queued', 'running')",
        state,
        result,
        error,
        message,
        now,
        id,
      ),
    );
  }

  /** Forgets all but the newest `keep` ended jobs. */
  prune(keep: number): void {
    this.#db.transaction(() =>
      this.#db.run(
        "DELETE FROM jobs WHERE state IN ('done', 'failed', 'cancelled') AND id NOT IN (SELECT id FROM jobs WHERE state IN ('done', 'failed', 'cancelled') ORDER BY updated_at DESC LIMIT ?)",
        keep,
      ),
    );
  }
}
