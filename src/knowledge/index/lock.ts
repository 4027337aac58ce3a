import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { errorMessage } from "../../domain/index.ts";

const NOT_A_DATABASE = 26;

/**
 * The right to write one index folder: one process at a time, one build at a time in it. The lock is one of the operating system
 * on a small database file, so it ends with its owner, however that ends.
 */
export class WriterLock {
  readonly #db: DatabaseSync;
  readonly #about: string;

  private constructor(db: DatabaseSync, about: string) {
    this.#db = db;
    this.#about = about;
  }

  /** @returns undefined when someone else is writing. */
  static take(folder: string): WriterLock | undefined {
    mkdirSync(folder, { recursive: true });
    const file = join(folder, "writer.lock");
    for (let attempt = 0; ; attempt += 1) {
      const db = new DatabaseSync(file, { timeout: 0 });
      try {
        db.exec("BEGIN EXCLUSIVE");
        const about = join(folder, "writer.json");
        writeFileSync(about, JSON.stringify({ pid: process.pid, since: new Date().toISOString() }));
        return new WriterLock(db, about);
      } catch (error) {
        db.close();
        const code = error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : 0;
        if (code === NOT_A_DATABASE && attempt === 0) {
          // Nobody can hold what no database is.
          rmSync(file, { force: true });
          continue;
        }
        if (/locked|busy/i.test(errorMessage(error))) return undefined;
        throw error;
      }
    }
  }

  /** Idempotent. */
  release(): void {
    if (!this.#db.isOpen) return;
    rmSync(this.#about, { force: true });
    this.#db.close();
  }
}

/** Who writes, for messages. */
export function writerName(folder: string): string {
  try {
    const text = readFileSync(join(folder, "writer.json"), "utf8");
    const pid = /"pid":(\d+)/.exec(text)?.[1];
    return pid === undefined ? "another process" : `process ${pid}`;
  } catch {
    return "another process";
  }
}
