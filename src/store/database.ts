import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { z } from "zod";
import { errorMessage, KernelEvolveError } from "../domain/index.ts";
import { MIGRATIONS } from "./migrations.ts";

/**
 * The one SQLite file of a data home: WAL, so that readers never wait for a writer and several processes may share it;
 * `synchronous = FULL`, so that what was acknowledged is on disk.
 */
export class Database {
  readonly file: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;

  /** @throws corrupt when the file is no database of ours, infrastructure when the folder cannot be written. */
  constructor(home: string) {
    this.file = join(home, "state.db");
    try {
      mkdirSync(home, { recursive: true });
      this.#db = new DatabaseSync(this.file, { timeout: 15_000, enableForeignKeyConstraints: true });
      this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;");
    } catch (error) {
      throw openError(this.file, error);
    }
    try {
      this.#migrate();
    } catch (error) {
      this.#db.close();
      throw error instanceof KernelEvolveError ? error : openError(this.file, error);
    }
  }

  #migrate(): void {
    const version = (): number =>
      Number(this.#db.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
    if (version() > MIGRATIONS.length) {
      throw new KernelEvolveError(
        "corrupt",
        `${this.file} was written by a newer version (schema ${version()}, this one knows ${MIGRATIONS.length})`,
        {
          fix: "update kernelevolve, or choose another folder with KERNELEVOLVE_HOME",
        },
      );
    }
    while (version() < MIGRATIONS.length) {
      this.transaction(() => {
        const at = version();
        const sql = MIGRATIONS[at];
        // Another process may have done it while this one waited for the lock.
        if (sql === undefined) return;
        this.#db.exec(sql);
        this.#db.exec(`PRAGMA user_version = ${at + 1}`);
      });
    }
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  /** All of `work` or nothing. Takes the write lock at once, so that two processes cannot both read and then both write. */
  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return work();
    this.#db.exec("BEGIN IMMEDIATE");
    this.#depth += 1;
    try {
      const result = work();
      this.#db.exec("COMMIT");
      return result;
    } catch (error) {
      this.#db.exec("ROLLBACK");
      throw error;
    } finally {
      this.#depth -= 1;
    }
  }

  /** Number of rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  /** Rows checked against `schema`: a row that does not fit is reported, never passed on. */
  all<T>(schema: z.ZodType<T>, sql: string, ...values: SQLInputValue[]): T[] {
    return this.#statement(sql)
      .all(...values)
      .map((row) => this.#checked(schema, row));
  }

  get<T>(schema: z.ZodType<T>, sql: string, ...values: SQLInputValue[]): T | undefined {
    const row = this.#statement(sql).get(...values);
    return row === undefined ? undefined : this.#checked(schema, row);
  }

  #checked<T>(schema: z.ZodType<T>, row: unknown): T {
    const parsed = schema.safeParse(row);
    if (parsed.success) return parsed.data;
    throw new KernelEvolveError(
      "corrupt",
      `${this.file}: a row does not have the expected form (${parsed.error.issues[0]?.path.join(".") ?? ""})`,
      {
        fix: "keep the folder, and report this with the version of kernelevolve that wrote it",
      },
    );
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }
}

function openError(file: string, error: unknown): KernelEvolveError {
  const text = errorMessage(error);
  if (/not a database|malformed|corrupt|encrypted/i.test(text)) {
    return new KernelEvolveError(
      "corrupt",
      `${file} is damaged or is not a database of kernelevolve (${text})`,
      {
        fix: `move it away (mv ${file} ${file}.damaged) and start again, or restore a copy; nothing was changed`,
        cause: error,
      },
    );
  }
  const what = existsSync(file) ? "cannot open" : "cannot create";
  return new KernelEvolveError("infrastructure", `${what} ${file}: ${text}`, {
    fix: "check the folder's permissions and free space, or set KERNELEVOLVE_HOME to a folder that can be written",
    cause: error,
  });
}
