import { errorMessage, KernelEvolveError } from "../domain/index.ts";

/** Primary result codes of SQLite (https://sqlite.org/rescode.html). */
const BUSY = new Set([5, 6]);
const UNWRITABLE = new Set([3, 8, 14]);
const FULL = 13;
const IO = 10;
/** A read past the end of the file: the file is shorter than it says. */
const SHORT_READ = 522;
const CONSTRAINT = 19;
const DAMAGED = new Set([11, 26]);

/** What to do about a damaged database: its log must move with it, or the next start would throw the log away. */
export function damaged(file: string, why: string, cause?: unknown): KernelEvolveError {
  return new KernelEvolveError("corrupt", `${file} is damaged or is not a database of kernelevolve: ${why}`, {
    fix:
      `nothing was changed; put it aside with its log (mkdir '${file}.damaged' && mv '${file}' '${file}'-* '${file}.damaged') ` +
      "and start again or restore a copy, or set KERNELEVOLVE_HOME to another folder",
    ...(cause === undefined ? {} : { cause }),
  });
}

function resultCode(error: unknown): number | undefined {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number"
    ? error.errcode
    : undefined;
}

/** Whether another process's lock was the reason. */
export function isBusy(error: unknown): boolean {
  const code = resultCode(error);
  return code !== undefined && BUSY.has(code & 0xff);
}

/**
 * An error of the database engine as one that a user can act on. Errors that are ours already, and mistakes in the
 * program, come back as they are.
 */
export function storeError(file: string, error: unknown): unknown {
  if (error instanceof KernelEvolveError || !(error instanceof Error)) return error;
  const code = resultCode(error);
  if (code === undefined) return error;
  const primary = code & 0xff;
  const text = errorMessage(error);
  if (DAMAGED.has(primary) || code === SHORT_READ) return damaged(file, text, error);
  const refuse = (message: string, fix: string): KernelEvolveError =>
    new KernelEvolveError("infrastructure", `${file}: ${message} (${text})`, { fix, cause: error });
  if (BUSY.has(primary)) {
    return refuse("another process holds it too long", "end the process that holds it, then try again");
  }
  if (UNWRITABLE.has(primary)) {
    return refuse(
      "it cannot be opened or written",
      "check the folder's owner and permissions, or set KERNELEVOLVE_HOME to a folder that can be written",
    );
  }
  if (primary === FULL) return refuse("the disk is full", "free some space, then try again");
  if (primary === IO) return refuse("reading or writing failed", "check the disk and its free space");
  if (primary === CONSTRAINT) {
    return new KernelEvolveError("conflict", `the store refused the change: ${text}`, { cause: error });
  }
  return error;
}
