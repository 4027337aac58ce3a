import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type ArtifactService, KernelEvolveError } from "../domain/index.ts";
import { sha256 } from "../platform/hash.ts";
import type { Database } from "./database.ts";

const ID = /^art_[0-9a-f]{32}$/;

/** Long texts that stages produce, one file each, named by content. */
export class ArtifactStore implements ArtifactService {
  readonly #db: Database;
  readonly #folder: string;

  constructor(db: Database, home: string) {
    this.#db = db;
    this.#folder = join(home, "artifacts");
    mkdirSync(this.#folder, { recursive: true });
  }

  #path(id: string): string {
    return join(this.#folder, id.slice(4, 6), id);
  }

  async write(text: string | Uint8Array, info: { name: string; media_type: string }): Promise<string> {
    const bytes = typeof text === "string" ? Buffer.from(text, "utf8") : Buffer.from(text);
    const id = `art_${sha256(Buffer.concat([Buffer.from(`${info.name}\0`), bytes])).slice(0, 32)}`;
    const path = this.#path(id);
    if (!existsSync(path)) {
      mkdirSync(join(path, ".."), { recursive: true });
      // Written beside and renamed: a kill leaves either nothing or the whole file.
      const partial = `${path}.${process.pid}.part`;
      const fd = openSync(partial, "w", 0o644);
      try {
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
        fsyncSync(fd);
      } catch (error) {
        rmSync(partial, { force: true });
        throw error;
      } finally {
        closeSync(fd);
      }
      renameSync(partial, path);
    }
    this.#db.transaction(() =>
      this.#db.run(
        "INSERT OR IGNORE INTO artifacts (id, name, media_type, bytes, created_at) VALUES (?, ?, ?, ?, ?)",
        id,
        info.name,
        info.media_type,
        bytes.length,
        new Date().toISOString(),
      ),
    );
    return id;
  }

  /** `offset` and `limit` are bytes; a page ends on a character, so pages join to the whole text. */
  async read(id: string, page: { offset: number; limit: number }): ReturnType<ArtifactService["read"]> {
    const schema = z.object({ name: z.string(), media_type: z.string(), bytes: z.number() });
    const row = ID.test(id)
      ? this.#db.get(schema, "SELECT name, media_type, bytes FROM artifacts WHERE id = ?", id)
      : undefined;
    if (row === undefined) {
      throw new KernelEvolveError("not_found", `artifact ${id.slice(0, 60)} is unknown`, {
        fix: "artifact ids stand in evaluation records, under stages.*.artifacts",
      });
    }
    let fd: number;
    try {
      fd = openSync(this.#path(id), "r");
    } catch (error) {
      throw new KernelEvolveError("corrupt", `the file of artifact ${id} is missing`, {
        fix: "evaluate the candidate again",
        cause: error,
      });
    }
    try {
      const start = Math.min(Math.max(0, page.offset), row.bytes);
      const buffer = Buffer.alloc(Math.min(page.limit, row.bytes - start));
      let size = readSync(fd, buffer, 0, buffer.length, start);
      const end = start + size;
      // Do not cut a character: go back over at most three continuation bytes and their lead.
      if (end < row.bytes) {
        let cut = size;
        while (cut > 0 && size - cut < 4 && ((buffer[cut - 1] ?? 0) & 0xc0) === 0x80) cut -= 1;
        if (cut > 0 && ((buffer[cut - 1] ?? 0) & 0x80) !== 0) size = cut - 1 > 0 ? cut - 1 : size;
      }
      const next = start + size;
      return {
        id,
        name: row.name,
        media_type: row.media_type,
        text: buffer.subarray(0, size).toString("utf8"),
        total_bytes: row.bytes,
        next_offset: next < row.bytes ? next : null,
      };
    } finally {
      closeSync(fd);
    }
  }
}
