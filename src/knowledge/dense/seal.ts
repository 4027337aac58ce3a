import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readSync, renameSync, statSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { KernelEvolveError } from "../../domain/index.ts";

/** By which a file is known to be the one that was written. */
export const sealSchema = z.object({
  bytes: z.number(),
  sha256: z.string(),
  /** When this has not changed, the checksum is not computed again. */
  modified: z.number(),
});
export type Seal = z.infer<typeof sealSchema>;

const CHUNK = 4 << 20;

/** sha256 of a file, read in pieces. */
export function fileHash(file: string): string {
  const hash = createHash("sha256");
  const fd = openSync(file, "r");
  try {
    const buffer = Buffer.alloc(CHUNK);
    for (;;) {
      const got = readSync(fd, buffer, 0, CHUNK, null);
      if (got === 0) return hash.digest("hex");
      hash.update(buffer.subarray(0, got));
    }
  } finally {
    closeSync(fd);
  }
}

/** On disk, whatever happens to the machine next. */
export function flush(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** @throws infrastructure when the file was not written after all. */
export function seal(file: string): Seal {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined || stat.size === 0) {
    throw new KernelEvolveError("infrastructure", `${file} was not written`, {
      fix: "check the folder's permissions and free space",
    });
  }
  flush(file);
  return { bytes: stat.size, sha256: fileHash(file), modified: stat.mtimeMs };
}

/** Why `file` is not what was sealed; undefined when it is. */
export function sealBroken(file: string, expected: Seal): string | undefined {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return "is missing";
  if (stat.size !== expected.bytes) return `has ${stat.size} bytes, not ${expected.bytes}`;
  if (stat.mtimeMs === expected.modified) return undefined;
  return fileHash(file) === expected.sha256 ? undefined : "has other contents than were written";
}

/** Writes a text so that a reader sees the old one or the new one, never a part. */
export function writeAtomically(file: string, text: string): void {
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, text);
  flush(temporary);
  renameSync(temporary, file);
}
