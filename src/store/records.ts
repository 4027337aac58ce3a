import {
  type EvaluationRecord,
  evaluationRecordSchema,
  type Grading,
  gradingSchema,
  type Problem,
  problemSchema,
} from "../domain/index.ts";
import type { Database } from "./database.ts";
import { jsonRow, parseJson, toJson } from "./rows.ts";

/** Finished evaluations, by id and by what they depend on. */
export class EvaluationRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  get(id: string): EvaluationRecord | undefined {
    const row = this.#db.get(jsonRow, "SELECT json FROM evaluations WHERE id = ?", id);
    return row === undefined ? undefined : parseJson(evaluationRecordSchema, row.json, "evaluation");
  }

  byKey(key: string): EvaluationRecord | undefined {
    const row = this.#db.get(jsonRow, "SELECT json FROM evaluations WHERE cache_key = ?", key);
    return row === undefined ? undefined : parseJson(evaluationRecordSchema, row.json, "evaluation");
  }

  /** With a key the record answers later requests of the same key; the newest wins. */
  put(record: EvaluationRecord, key: string | undefined): void {
    this.#db.transaction(() => {
      if (key !== undefined) this.#db.run("UPDATE evaluations SET cache_key = NULL WHERE cache_key = ?", key);
      this.#db.run(
        "INSERT OR REPLACE INTO evaluations (id, cache_key, candidate, problem, target, json, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        record.id,
        key ?? null,
        record.candidate,
        record.problem,
        record.target,
        toJson(evaluationRecordSchema, record, "the evaluation"),
        record.created_at,
      );
    });
  }
}

/** Problems that users registered, and what grading found about any problem on a target. */
export class ProblemRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  put(problem: Problem): void {
    this.#db.transaction(() =>
      this.#db.run(
        "INSERT OR REPLACE INTO problems (id, name, content_hash, json, created_at) VALUES (?, ?, ?, ?, ?)",
        problem.id,
        problem.definition.name,
        problem.content_hash,
        toJson(problemSchema, problem, "the problem"),
        new Date().toISOString(),
      ),
    );
  }

  get(id: string): Problem | undefined {
    const row = this.#db.get(jsonRow, "SELECT json FROM problems WHERE id = ?", id);
    return row === undefined ? undefined : parseJson(problemSchema, row.json, "problem");
  }

  /** The newest of that name. */
  byName(name: string): Problem | undefined {
    const row = this.#db.get(
      jsonRow,
      "SELECT json FROM problems WHERE name = ? ORDER BY created_at DESC LIMIT 1",
      name,
    );
    return row === undefined ? undefined : parseJson(problemSchema, row.json, "problem");
  }

  list(): Problem[] {
    return this.#db
      .all(jsonRow, "SELECT json FROM problems ORDER BY name, created_at")
      .map((row) => parseJson(problemSchema, row.json, "problem"));
  }

  grading(contentHash: string, target: string): Grading | undefined {
    const row = this.#db.get(
      jsonRow,
      "SELECT json FROM gradings WHERE content_hash = ? AND target = ?",
      contentHash,
      target,
    );
    return row === undefined ? undefined : parseJson(gradingSchema, row.json, "grading");
  }

  putGrading(contentHash: string, target: string, grading: Grading): void {
    this.#db.transaction(() =>
      this.#db.run(
        "INSERT OR REPLACE INTO gradings (content_hash, target, json) VALUES (?, ?, ?)",
        contentHash,
        target,
        toJson(gradingSchema, grading, "the grading"),
      ),
    );
  }
}
