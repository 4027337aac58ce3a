import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { z } from "zod";
import { errorMessage, KernelEvolveError } from "../domain/index.ts";
import { damaged, isBusy, storeError } from "./failures.ts";
import { inspectFile } from "./inspect.ts";
import { APPLICATION_ID, FIRST_WITH_ID, MIGRATIONS } from "./migrations.ts";

/** Longest wait for another process's transaction. */
const BUSY_MS = 15_000;
const RETRY_MS = 20;

export interface TransactionOptions {
  /**
   * `false` leaves the flush to the disk to the next durable transaction: after a power failure (not after a kill) the
   * change may be gone. For what is worthless then anyway, such as heartbeats. Ignored inside another transaction.
   */
  readonly durable?: boolean;
}

/**
 * The one SQLite file of a data home: WAL, so that readers never wait for a writer and several processes may share it;
 * `synchronous = FULL`, so that what was acknowledged is on disk.
 */
export class Database {
  readonly file: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;

  /** @throws corrupt when the file is damaged or no database of ours, infrastructure when it cannot be written. */
  constructor(home: string) {
    this.file = join(home, "state.db");
    try {
      mkdirSync(home, { recursive: true });
      inspectFile(this.file);
      this.#db = new DatabaseSync(this.file, { timeout: BUSY_MS, enableForeignKeyConstraints: true });
    } catch (error) {
      throw this.#failed(error);
    }
    try {
      this.#check();
      this.#useLog();
      this.#db.exec("PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA recursive_triggers = ON");
      this.#migrate();
    } catch (error) {
      this.#db.close();
      throw this.#failed(error);
    }
  }

  /** Errors of opening: whatever the file system says counts as well. */
  #failed(error: unknown): unknown {
    const known = storeError(this.file, error);
    if (known instanceof KernelEvolveError) return known;
    return new KernelEvolveError("infrastructure", `cannot open ${this.file}: ${errorMessage(error)}`, {
      fix: "check the folder's permissions and free space, or set KERNELEVOLVE_HOME to a folder that can be written",
      cause: error,
    });
  }

  #pragma(name: string): number {
    return Number(this.#db.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
  }

  /** Refuses a database that another program, or a newer version of this one, wrote. */
  #check(): void {
    const version = this.#pragma("user_version");
    const id = this.#pragma("application_id");
    const tables = this.#db
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
      .all()
      .map((row) => row["name"]);
    if (version === 0 && id === 0 && tables.length === 0) return;
    const early = id === 0 && version > 0 && version < FIRST_WITH_ID && tables.includes("node_commits");
    if (id !== APPLICATION_ID && !early) throw damaged(this.file, "another program wrote it");
    if (version > MIGRATIONS.length) {
      throw new KernelEvolveError(
        "corrupt",
        `${this.file} was written by a newer version (schema ${version}, this one knows ${MIGRATIONS.length})`,
        { fix: "update kernelevolve, or choose another folder with KERNELEVOLVE_HOME; nothing was changed" },
      );
    }
  }

  /**
   * Turns the write-ahead log on. While another process that creates the store does the same, SQLite refuses at once,
   * without the wait that it keeps elsewhere: the wait is here.
   */
  #useLog(): void {
    for (let waited = 0; ; waited += RETRY_MS) {
      try {
        this.#db.exec("PRAGMA journal_mode = WAL");
        return;
      } catch (error) {
        if (!isBusy(error) || waited >= BUSY_MS) throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
      }
    }
  }

  /** Each step in a transaction of its own. The empty last one finds out now whether the file can be written. */
  #migrate(): void {
    for (let done = false; !done; ) {
      this.transaction(() => {
        // Read inside the transaction: another process may have done a step while this one waited for the lock.
        const at = this.#pragma("user_version");
        const sql = MIGRATIONS[at];
        if (sql === undefined) {
          done = true;
          return;
        }
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

  #guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw storeError(this.file, error);
    }
  }

  /**
   * All of `work` or nothing, on disk when this returns. Takes the write lock at once, so that two processes cannot both
   * read and then both write. Inside another transaction it is a part that fails alone.
   */
  transaction<T>(work: () => T, options: TransactionOptions = {}): T {
    return this.#guarded(() => {
      const nested = this.#depth > 0;
      const relaxed = !nested && options.durable === false;
      const point = `nested_${this.#depth}`;
      if (relaxed) this.#db.exec("PRAGMA synchronous = NORMAL");
      try {
        this.#db.exec(nested ? `SAVEPOINT ${point}` : "BEGIN IMMEDIATE");
        this.#depth += 1;
        try {
          const result = work();
          if (result instanceof Promise) throw new TypeError("a transaction cannot wait for a promise");
          this.#db.exec(nested ? `RELEASE ${point}` : "COMMIT");
          return result;
        } catch (error) {
          // On a full disk and the like SQLite has rolled back by itself.
          if (this.#db.isTransaction) {
            this.#db.exec(nested ? `ROLLBACK TO ${point}; RELEASE ${point}` : "ROLLBACK");
          }
          throw error;
        } finally {
          this.#depth -= 1;
        }
      } finally {
        if (relaxed && this.#db.isOpen) this.#db.exec("PRAGMA synchronous = FULL");
      }
    });
  }

  /** Number of rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return this.#guarded(() => Number(this.#statement(sql).run(...values).changes));
  }

  /** Rows checked against `schema`: a row that does not fit is reported, never passed on. */
  all<T>(schema: z.ZodType<T>, sql: string, ...values: SQLInputValue[]): T[] {
    return this.#guarded(() =>
      this.#statement(sql)
        .all(...values)
        .map((row) => this.#checked(schema, row)),
    );
  }

  get<T>(schema: z.ZodType<T>, sql: string, ...values: SQLInputValue[]): T | undefined {
    return this.#guarded(() => {
      const row = this.#statement(sql).get(...values);
      return row === undefined ? undefined : this.#checked(schema, row);
    });
  }

  #checked<T>(schema: z.ZodType<T>, row: unknown): T {
    const parsed = schema.safeParse(row);
    if (parsed.success) return parsed.data;
    throw new KernelEvolveError(
      "corrupt",
      `${this.file}: a row does not have the expected form (${parsed.error.issues[0]?.path.join(".") ?? ""})`,
      { fix: "keep the folder, and report this with the version of kernelevolve that wrote it" },
    );
  }

  /** Idempotent. */
  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }
}
