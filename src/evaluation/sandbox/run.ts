import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KernelEvolveError } from "../../domain/index.ts";
import { probeSandbox } from "../../platform/sandbox-probe.ts";
import { type ProcessResult, runProcess } from "../../platform/subprocess.ts";
import { type ProgramLimits, programSandbox } from "./profile.ts";

const FIRST_UID = 61_000;
let slot = 0;

/** A user id that no other sandbox of this process uses at the moment, and no account of the machine has. */
export function sandboxUid(): number {
  slot = (slot + 1) % 2000;
  return FIRST_UID + ((process.pid * 7 + slot) % 4000);
}

/** A private folder that exists while `work` runs, owned by the sandbox's user. */
export async function withJobFolder<T>(work: (folder: string, uid: number) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "kernelevolve-job-"));
  const uid = sandboxUid();
  try {
    // Others may pass through (bubblewrap has given up root's powers by then), not list.
    chmodSync(folder, 0o711);
    if (process.getuid?.() === 0) chownSync(folder, uid, uid);
    return await work(folder, uid);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a program of the machine over untrusted input, apart from the machine as far as it allows. */
export async function runSandboxed(input: {
  argv: readonly string[];
  jobFolder: string;
  uid: number;
  limits: ProgramLimits;
  timeoutMs: number;
  signal?: AbortSignal;
  cap?: number;
  readOnly?: readonly { from: string; to: string }[];
}): Promise<ProcessResult> {
  const probe = await probeSandbox();
  const result = await runProcess({
    argv: programSandbox(probe, input),
    cwd: input.jobFolder,
    timeoutMs: input.timeoutMs,
    ...(input.signal === undefined ? {} : { signal: input.signal }),
    ...(input.cap === undefined ? {} : { cap: input.cap }),
    env: { HOME: "/tmp", TMPDIR: probe.bwrap === undefined ? input.jobFolder : "/tmp" },
  });
  // What the sandbox itself says is no message of the program in it.
  if (result.code !== 0 && /^(bwrap|setpriv|prlimit): /.test(result.stderr)) {
    throw new KernelEvolveError(
      "infrastructure",
      `the sandbox could not be set up: ${result.stderr.slice(0, 300)}`,
    );
  }
  return result;
}

/** Reads a file that untrusted work left: a regular file only, never through a link, at most `limit` bytes. */
export function readOutput(file: string, limit: number): Buffer | undefined {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size > limit) return undefined;
    const buffer = Buffer.alloc(stat.size);
    let at = 0;
    while (at < buffer.length) {
      const size = readSync(fd, buffer, at, buffer.length - at, at);
      if (size === 0) break;
      at += size;
    }
    return buffer.subarray(0, at);
  } finally {
    closeSync(fd);
  }
}
