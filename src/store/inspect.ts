import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { damaged } from "./failures.ts";

const MAGIC = "SQLite format 3\0";
/** Another process that creates the store at this moment leaves the file empty for a few milliseconds. */
const CREATION_MS = 1_000;

function size(file: string): number {
  return existsSync(file) ? statSync(file).size : 0;
}

/**
 * Looks at the file before SQLite does, because SQLite takes an empty file for a new database (and then deletes its log)
 * and does not notice a cut one until a query reaches the missing part. Changes nothing.
 * @throws corrupt
 */
export function inspectFile(file: string): void {
  const wal = size(`${file}-wal`);
  if (!existsSync(file)) {
    if (wal > 0) throw damaged(file, "it is missing while its log is there");
    return;
  }
  for (let waited = 0; statSync(file).size === 0; waited += 50) {
    if (wal === 0 && !holdsData(dirname(file))) return;
    if (waited >= CREATION_MS) throw damaged(file, "it is empty while the folder holds data");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  }
  const fd = openSync(file, "r");
  try {
    const header = Buffer.alloc(100);
    const got = readSync(fd, header, 0, header.length, 0);
    if (got < header.length || header.toString("latin1", 0, 16) !== MAGIC) {
      throw damaged(file, "its first bytes are not those of a database");
    }
    // While there is a log, the file may be shorter than it says: the rest is in the log.
    if (wal > 0) return;
    const page = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16);
    const valid = header.readUInt32BE(24) === header.readUInt32BE(92);
    const expected = page * header.readUInt32BE(28);
    const actual = fstatSync(fd).size;
    if (valid && actual < expected && size(`${file}-wal`) === 0) {
      throw damaged(file, `it has ${actual} bytes of ${expected}`);
    }
  } finally {
    closeSync(fd);
  }
}

/** Whether something that the database knew of is left beside it. */
function holdsData(home: string): boolean {
  const artifacts = join(home, "artifacts");
  const hasArtifacts =
    existsSync(artifacts) && readdirSync(artifacts).some((name) => /^[0-9a-f]{2}$/.test(name));
  return hasArtifacts || existsSync(join(home, "archive.git", "HEAD"));
}
