import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../../platform/log.ts";

/** The variable by which a program's descendants are known when no process namespace holds them together. */
export const JOB_VARIABLE = "KERNELEVOLVE_JOB";

const ROUNDS = 40;

function owner(pid: string): number | undefined {
  try {
    const user = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return user === undefined ? undefined : Number(user);
  } catch {
    return undefined;
  }
}

function carries(pid: string, token: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`${JOB_VARIABLE}=${token}`);
  } catch {
    return false;
  }
}

/** Whether it still runs: a zombie only waits to be collected by its parent. */
function alive(pid: string): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Processes of a job, wherever they put themselves: those with its token in their environment, and those of its own user. */
function processesOf(token: string, uid: number | undefined): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => (uid !== undefined && owner(pid) === uid) || carries(pid, token))
    .filter(alive)
    .map(Number);
}

/**
 * Ends what a program without a process namespace left running, also in sessions of its own and while it still forks.
 * @param uid a user that only this job has, or undefined where all share ours
 */
export async function killLeftovers(token: string, uid: number | undefined): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const left = processesOf(token, uid);
    if (left.length === 0) return;
    // Stopped first: nothing of what is killed can start a successor meanwhile.
    for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
      for (const pid of left) {
        try {
          process.kill(pid, signal);
        } catch {
          // Gone already.
        }
      }
    }
    await sleep(Math.min(5 * (round + 1), 50));
  }
  log.warn({ token }, "processes of an ended job could not be killed");
}
