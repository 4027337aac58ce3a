import { z } from "zod";
import { JOB_STATES, KernelEvolveError } from "../domain/index.ts";
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
/** What it takes to tell whether somebody runs a job. */
const heldRow = jobRow.pick({ id: true, kind: true, state: true, owner: true, heartbeat_ms: true });
export type HeldJob = z.infer<typeof heldRow>;
const idRow = z.object({ id: z.string() });
const COLUMNS =
  "id, kind, state, args, progress, total, message, result, error, owner, heartbeat_ms, created_at, updated_at";
const LIVE = "state IN ('queued', 'running')";
const ENDED = "state IN ('done', 'failed', 'cancelled')";
const LISTED = 500;

/** A job to put in the queue. */
export interface NewJob {
  readonly id: string;
  readonly kind: string;
  /** Canonical JSON: the same arguments are the same text. */
  readonly args: string;
  readonly key: string | undefined;
  /** Who will run it. */
  readonly owner: string;
}

/** How a job ended; result and error are JSON. */
export interface JobEnd {
  readonly state: "done" | "failed" | "cancelled";
  readonly result: string | null;
  readonly error: string | null;
  readonly message: string;
}

/**
 * Jobs as rows. A queued or running job has an owner, who keeps it alive by a heartbeat. It changes hands by a comparison of
 * the owner known with the owner stored, so that of several takers one succeeds. What the store cannot afford to lose
 * (that a job is there, how it ended) is flushed to the disk; progress and heartbeats are not.
 */
export class JobRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  get(id: string): JobRow | undefined {
    return this.#db.get(jobRow, `SELECT ${COLUMNS} FROM jobs WHERE id = ?`, id);
  }

  /** Newest first; of one state, oldest first. At most 500. */
  list(state?: JobRow["state"]): JobRow[] {
    return state === undefined
      ? this.#db.all(jobRow, `SELECT ${COLUMNS} FROM jobs ORDER BY created_at DESC, id LIMIT ${LISTED}`)
      : this.#db.all(
          jobRow,
          `SELECT ${COLUMNS} FROM jobs WHERE state = ? ORDER BY created_at, id LIMIT ${LISTED}`,
          state,
        );
  }

  /** Every queued or running job, oldest first. */
  live(): HeldJob[] {
    return this.#db.all(
      heldRow,
      `SELECT id, kind, state, owner, heartbeat_ms FROM jobs WHERE ${LIVE} ORDER BY created_at, id`,
    );
  }

  /**
   * Inserts a queued job; with a key that a live job has, that job is answered instead.
   * @throws conflict when that job is about something else
   */
  create(job: NewJob, nowMs: number): JobRow {
    return this.#db.transaction(() => {
      const known =
        job.key === undefined
          ? undefined
          : this.#db.get(
              jobRow,
              `SELECT ${COLUMNS} FROM jobs WHERE idempotency_key = ? AND ${LIVE}`,
              job.key,
            );
      if (known !== undefined) {
        if (known.kind === job.kind && known.args === job.args) return known;
        throw new KernelEvolveError(
          "conflict",
          `idempotency_key: job ${known.id} runs under it with other arguments`,
          { fix: "use another key, or wait until that job has ended" },
        );
      }
      const now = new Date(nowMs).toISOString();
      this.#db.run(
        `INSERT INTO jobs (id, kind, state, args, idempotency_key, progress, message, owner, heartbeat_ms, created_at, updated_at)
         VALUES (?, ?, 'queued', ?, ?, 0, 'queued', ?, ?, ?, ?)`,
        job.id,
        job.kind,
        job.args,
        job.key ?? null,
        job.owner,
        nowMs,
        now,
        now,
      );
      const made = this.get(job.id);
      if (made === undefined) throw new Error("the job just inserted is missing");
      return made;
    });
  }

  /** Begins a job that `from` (null: nobody) had: its owner's queued one, or any one of an owner that is gone. */
  take(id: string, from: string | null, owner: string, nowMs: number): boolean {
    return (
      this.#db.transaction(() =>
        this.#db.run(
          `UPDATE jobs SET state = 'running', owner = ?1, heartbeat_ms = ?2, updated_at = ?3, message = 'running'
           WHERE id = ?4 AND owner IS ?5 AND (state = 'queued' OR (state = 'running' AND ?5 IS NOT ?1))`,
          owner,
          nowMs,
          new Date(nowMs).toISOString(),
          id,
          from,
        ),
      ) === 1
    );
  }

  /** Gives the live jobs of an owner back (its server closes), for any server to take. */
  release(owner: string): void {
    this.#db.transaction(() =>
      this.#db.run(
        `UPDATE jobs SET state = 'queued', owner = NULL, message = 'waiting for a server' WHERE owner = ? AND ${LIVE}`,
        owner,
      ),
    );
  }

  /** Says that the owner lives; answers the ids of the jobs it has. */
  beat(owner: string, nowMs: number): string[] {
    return this.#db.transaction(
      () => {
        this.#db.run(`UPDATE jobs SET heartbeat_ms = ? WHERE owner = ? AND ${LIVE}`, nowMs, owner);
        return this.#db
          .all(idRow, `SELECT id FROM jobs WHERE owner = ? AND ${LIVE}`, owner)
          .map((row) => row.id);
      },
      { durable: false },
    );
  }

  /** Progress never goes back, also not when a job starts again. */
  progress(
    id: string,
    owner: string,
    now: Pick<JobRow, "progress" | "total" | "message" | "updated_at">,
  ): void {
    this.#db.transaction(
      () =>
        this.#db.run(
          "UPDATE jobs SET progress = max(progress, ?), total = ?, message = ?, updated_at = ? WHERE id = ? AND owner = ? AND state = 'running'",
          now.progress,
          now.total,
          now.message,
          now.updated_at,
          id,
          owner,
        ),
      { durable: false },
    );
  }

  /** Ends a job once; one that has ended stays as it is. With an owner, only while it is that owner's. */
  finish(id: string, owner: string | undefined, end: JobEnd, nowMs: number): boolean {
    return (
      this.#db.transaction(() =>
        this.#db.run(
          `UPDATE jobs SET state = ?1, result = ?2, error = ?3, message = ?4, updated_at = ?5
           WHERE id = ?6 AND (?7 IS NULL OR owner = ?7) AND ${LIVE}`,
          end.state,
          end.result,
          end.error,
          end.message,
          new Date(nowMs).toISOString(),
          id,
          owner ?? null,
        ),
      ) === 1
    );
  }

  /** Forgets ended jobs: all but the newest `keep`, and those that ended before `before` (ISO time). */
  prune(keep: number, before: string): void {
    this.#db.transaction(
      () =>
        this.#db.run(
          `DELETE FROM jobs WHERE ${ENDED} AND (updated_at < ?1 OR id NOT IN
             (SELECT id FROM jobs WHERE ${ENDED} ORDER BY updated_at DESC LIMIT ?2))`,
          before,
          keep,
        ),
      { durable: false },
    );
  }
}
