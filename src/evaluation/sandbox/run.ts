import { randomUUID } from "node:crypto";
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
import { probeSandbox, type SandboxProbe } from "../../platform/sandbox-probe.ts";
import { type ProcessResult, runProcess } from "../../platform/subprocess.ts";
import { inGroup, makeControlGroup } from "./cgroup.ts";
import { JOB_VARIABLE, killLeftovers } from "./leftovers.ts";
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

export interface SandboxedRun {
  readonly argv: readonly string[];
  readonly jobFolder: string;
  readonly uid: number;
  readonly limits: ProgramLimits;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Bytes kept of each output stream. */
  readonly cap?: number | undefined;
  readonly readOnly?: readonly { from: string; to: string }[] | undefined;
  /** Files of the job folder that may be written; default: the whole folder. */
  readonly writable?: readonly string[] | undefined;
  /** Variables beside PATH, HOME, LANG and TMPDIR. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/**
 * Runs a program of the machine over untrusted input, apart from the machine as far as it allows. When it has answered, nothing
 * that the program started runs any more.
 * @throws infrastructure when the sandbox itself could not be set up; whatever the program does is a result.
 */
export async function runSandboxed(input: SandboxedRun, probed?: SandboxProbe): Promise<ProcessResult> {
  const probe = probed ?? (await probeSandbox());
  const group = makeControlGroup(input.limits.memoryBytes, input.limits.processes + 8);
  const token = randomUUID();
  try {
    const result = await runProcess({
      argv: inGroup(group.procs, programSandbox(probe, input)),
      cwd: input.jobFolder,
      timeoutMs: input.timeoutMs,
      ...(input.signal === undefined ? {} : { signal: input.signal }),
      ...(input.cap === undefined ? {} : { cap: input.cap }),
      env: {
        HOME: "/tmp",
        TMPDIR: probe.bwrap === undefined ? input.jobFolder : "/tmp",
        ...input.env,
        [JOB_VARIABLE]: token,
      },
    });
    // What the sandbox itself says is no message of the program in it.
    if (result.code !== 0 && !result.timedOut && /^(bwrap|setpriv|prlimit|ke-group): /.test(result.stderr)) {
      throw new KernelEvolveError(
        "infrastructure",
        `the sandbox could not be set up: ${result.stderr.slice(0, 300)}`,
      );
    }
    return result;
  } finally {
    // With a process namespace the kernel has done this already.
    if (probe.bwrap === undefined) await killLeftovers(token, probe.root ? input.uid : undefined);
    await group.remove();
  }
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
