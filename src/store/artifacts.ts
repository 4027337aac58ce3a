import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { type ArtifactService, errorMessage, KernelEvolveError } from "../domain/index.ts";
import { sha256 } from "../platform/hash.ts";
import type { Database } from "./database.ts";

const ID = /^art_[0-9a-f]{32}$/;
/** Longest encoding of a character in UTF-8; a page holds at least one. */
const CHARACTER = 4;
/** Bytes of a page at most. */
const MAX_PAGE = 1 << 20;
/** A partial file this old belongs to a process that was killed. */
const ABANDONED_MS = 600_000;

const row = z.object({ name: z.string(), media_type: z.string(), bytes: z.number() });

/** Long texts that stages produce, one file each, named by content. */
export class ArtifactStore implements ArtifactService {
  readonly #db: Database;
  readonly #folder: string;

  constructor(db: Database, home: string) {
    this.#db = db;
    this.#folder = join(home, "artifacts");
    try {
      mkdirSync(this.#partial, { recursive: true });
      for (const name of readdirSync(this.#partial)) {
        const file = join(this.#partial, name);
        const age = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
        if (age > ABANDONED_MS) rmSync(file, { force: true });
      }
    } catch (error) {
      throw unwritable(this.#folder, error);
    }
  }

  /** Where files are written before they get their name. */
  get #partial(): string {
    return join(this.#folder, "partial");
  }

  #path(id: string): string {
    return join(this.#folder, id.slice(4, 6), id);
  }

  async write(text: string | Uint8Array, info: { name: string; media_type: string }): Promise<string> {
    const bytes = typeof text === "string" ? Buffer.from(text, "utf8") : text;
    const id = `art_${sha256(JSON.stringify([info.name, info.media_type, sha256(bytes)])).slice(0, 32)}`;
    const path = this.#path(id);
    // A file of another size is a wreck of a crash of the machine.
    if (statSync(path, { throwIfNoEntry: false })?.size !== bytes.length) this.#save(path, bytes);
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

  /** Written beside and renamed, file and folder flushed: a crash leaves either nothing or the whole file. */
  #save(path: string, bytes: Uint8Array): void {
    const partial = join(this.#partial, `${process.pid}-${randomBytes(6).toString("hex")}`);
    try {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(partial, bytes, { flag: "wx", flush: true });
      renameSync(partial, path);
      const folder = openSync(dirname(path), "r");
      try {
        fsyncSync(folder);
      } finally {
        closeSync(folder);
      }
    } catch (error) {
      rmSync(partial, { force: true });
      throw unwritable(path, error);
    }
  }

  /**
   * `offset` and `limit` are bytes. A page begins and ends on a character, so pages join to the whole text: an offset
   * within a character goes back to its first byte.
   * @throws invalid_argument, not_found, corrupt when the file is gone or cut
   */
  async read(id: string, page: { offset: number; limit: number }): ReturnType<ArtifactService["read"]> {
    checkPage(page);
    const known = ID.test(id)
      ? this.#db.get(row, "SELECT name, media_type, bytes FROM artifacts WHERE id = ?", id)
      : undefined;
    if (known === undefined) {
      throw new KernelEvolveError("not_found", `artifact ${JSON.stringify(id.slice(0, 60))} is unknown`, {
        fix: "artifact ids stand in evaluation records, under stages.*.artifacts",
      });
    }
    const path = this.#path(id);
    if (!existsSync(path) || statSync(path).size !== known.bytes) {
      throw new KernelEvolveError("corrupt", `the file of artifact ${id} is missing or cut: ${path}`, {
        fix: "evaluate the candidate again, without the cache",
      });
    }
    const start = Math.min(page.offset, known.bytes);
    const from = Math.max(0, start - (CHARACTER - 1));
    const bytes = readRange(path, from, Math.min(known.bytes, start + Math.min(page.limit, MAX_PAGE)));
    const first = start === known.bytes ? bytes.length : characterStart(bytes, start - from);
    const atEnd = from + bytes.length === known.bytes;
    const last = atEnd ? bytes.length : Math.max(characterStart(bytes, bytes.length), first);
    // The last character may be whole: then nothing is cut.
    const end = atEnd || isWhole(bytes, last) ? bytes.length : last;
    return {
      id,
      name: known.name,
      media_type: known.media_type,
      text: bytes.toString("utf8", first, end),
      total_bytes: known.bytes,
      next_offset: from + end < known.bytes ? from + end : null,
    };
  }
}

function checkPage({ offset, limit }: { offset: number; limit: number }): void {
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new KernelEvolveError("invalid_argument", `offset: ${offset} is not a whole number from 0`);
  }
  if (!Number.isSafeInteger(limit) || limit < CHARACTER) {
    throw new KernelEvolveError(
      "invalid_argument",
      `limit: ${limit} is not a whole number from ${CHARACTER}`,
    );
  }
}

function readRange(path: string, from: number, to: number): Buffer {
  const fd = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(to - from);
    let got = 0;
    for (let read = -1; read !== 0 && got < bytes.length; got += read) {
      read = readSync(fd, bytes, got, bytes.length - got, from + got);
    }
    return bytes.subarray(0, got);
  } finally {
    closeSync(fd);
  }
}

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80;

/** First byte of the character that byte `at` belongs to; at the end of the bytes, of the last character. Bytes that are no UTF-8 stay as they are. */
function characterStart(bytes: Buffer, at: number): number {
  const begin = at === bytes.length ? at - 1 : at;
  for (let back = 0; back < CHARACTER && begin - back >= 0; back += 1) {
    if (!isContinuation(bytes[begin - back])) return begin - back;
  }
  return at;
}

/** Whether the bytes from `start` are all of the character that begins there. */
function isWhole(bytes: Buffer, start: number): boolean {
  const lead = bytes[start] ?? 0;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  return bytes.length - start >= length;
}

function unwritable(path: string, error: unknown): KernelEvolveError {
  return new KernelEvolveError("infrastructure", `cannot write ${path}: ${errorMessage(error)}`, {
    fix: "check the folder's permissions and free space, or set KERNELEVOLVE_HOME to a folder that can be written",
    cause: error,
  });
}
