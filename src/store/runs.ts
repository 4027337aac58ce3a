import { z } from "zod";
import { KernelEvolveError, type Run, runSchema, type Usage } from "../domain/index.ts";
import type { Database } from "./database.ts";
import { jsonRow, parseJson, toJson } from "./rows.ts";

const secondsRow = z.object({ seconds: z.number() });
const usedRow = z.object({ tokens: z.number(), cost: z.number() });

/** Tokens (in and out) and cost that were reported. */
export interface Used {
  readonly tokens: number;
  readonly cost: number;
}

/** Runs and the time worked on them. */
export class RunTable {
  protected readonly db: Database;

  constructor(db: Database) {
    this.db = db;
  }

  /** Runs `work` as one transaction: what it reads holds until what it writes is on disk. */
  atomically<T>(work: () => T): T {
    return this.db.transaction(work);
  }

  /** Inserts a run; with a key that was used before, the run of then is answered. */
  createRun(run: Run, idempotencyKey?: string): Run {
    return this.db.transaction(() => {
      if (idempotencyKey !== undefined) {
        const known = this.db.get(jsonRow, "SELECT json FROM runs WHERE idempotency_key = ?", idempotencyKey);
        if (known !== undefined) return parseJson(runSchema, known.json, "run");
      }
      this.db.run(
        "INSERT INTO runs (id, json, state, created_at, idempotency_key) VALUES (?, ?, ?, ?, ?)",
        run.id,
        toJson(runSchema, run, "the run"),
        run.state,
        run.created_at,
        idempotencyKey ?? null,
      );
      this.db.run("INSERT INTO activity (run, seconds) VALUES (?, 0)", run.id);
      return run;
    });
  }

  run(id: string): Run | undefined {
    const row = this.db.get(jsonRow, "SELECT json FROM runs WHERE id = ?", id);
    return row === undefined ? undefined : parseJson(runSchema, row.json, "run");
  }

  /** The control of a run, if one was opened. */
  controlOf(run: string): Run | undefined {
    const row = this.db.get(jsonRow, "SELECT json FROM runs WHERE json ->> '$.control_of' = ? LIMIT 1", run);
    return row === undefined ? undefined : parseJson(runSchema, row.json, "run");
  }

  /** Newest first. */
  runs(): Run[] {
    return this.db
      .all(jsonRow, "SELECT json FROM runs ORDER BY created_at DESC, id")
      .map((row) => parseJson(runSchema, row.json, "run"));
  }

  /** Replaces the mutable part of a run (state, stop reason, finished_at; the budget of a control). @throws not_found */
  updateRun(run: Run): void {
    const changed = this.db.transaction(() =>
      this.db.run(
        "UPDATE runs SET json = ?, state = ? WHERE id = ?",
        toJson(runSchema, run, "the run"),
        run.state,
        run.id,
      ),
    );
    if (changed === 0) throw new KernelEvolveError("not_found", `run ${run.id} is unknown`);
  }

  /** Adds to the seconds a run has been worked on; the time a server was down does not count. */
  addActivity(run: string, seconds: number): void {
    this.db.transaction(
      () => this.db.run("UPDATE activity SET seconds = seconds + ? WHERE run = ?", seconds, run),
      { durable: false },
    );
  }

  /**
   * Counts the time since the run's last beat as active when it is at most `gapMs`, and makes `nowMs` the last beat: several
   * processes on one run count a moment once, and a time in which none of them lived not at all.
   */
  beat(run: string, nowMs: number, gapMs: number): void {
    this.db.transaction(
      () =>
        this.db.run(
          `UPDATE activity SET seconds = seconds + CASE WHEN ?1 - beat_ms BETWEEN 0 AND ?2 THEN (?1 - beat_ms) / 1000.0 ELSE 0 END,
           beat_ms = max(beat_ms, ?1) WHERE run = ?3`,
          nowMs,
          gapMs,
          run,
        ),
      { durable: false },
    );
  }

  /** Counts what a model used, once for each key of a run; the first figures stand. Answers whether they were new. */
  addUsage(run: string, key: string, usage: Usage, node?: string, at = new Date().toISOString()): boolean {
    const added = this.db.transaction(() =>
      this.db.run(
        `INSERT INTO usage (run, key, node, model, input_tokens, output_tokens, cost, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run, key) DO NOTHING`,
        run,
        key,
        node ?? null,
        usage.model ?? null,
        usage.input_tokens,
        usage.output_tokens,
        usage.cost ?? 0,
        at,
      ),
    );
    return added > 0;
  }

  /** What models used for the run so far. */
  used(run: string): Used {
    return (
      this.db.get(usedRow, "SELECT tokens, cost FROM activity WHERE run = ?", run) ?? { tokens: 0, cost: 0 }
    );
  }

  /** What models had used for the run until a moment (ISO 8601), for time travel: reads every charge. */
  usedUntil(run: string, moment: string): Used {
    return (
      this.db.get(
        usedRow,
        `SELECT coalesce(sum(input_tokens + output_tokens), 0) AS tokens, coalesce(sum(cost), 0) AS cost
         FROM usage WHERE run = ? AND created_at <= ?`,
        run,
        moment,
      ) ?? { tokens: 0, cost: 0 }
    );
  }

  /** Seconds that the run has been worked on. */
  activeSeconds(run: string): number {
    return this.db.get(secondsRow, "SELECT seconds FROM activity WHERE run = ?", run)?.seconds ?? 0;
  }
}
