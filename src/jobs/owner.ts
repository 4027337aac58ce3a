import { randomUUID } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";

/** An owner that cannot be asked (another machine, another container) is taken for dead after this silence. */
export const SILENT_MS = 15_000;

function read(work: () => string): string | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** This boot and this pid namespace: process ids mean the same within it. "-" where the system does not say. */
function place(): string {
  const boot = read(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
  const namespace = read(() => readlinkSync("/proc/self/ns/pid"))?.replace(/\D/g, "");
  return boot === undefined || namespace === undefined ? "-" : `${boot}/${namespace}`;
}

/** Start time of a process in clock ticks since boot: tells it from a later one with the same id. */
function startTime(pid: string): string | undefined {
  const stat = read(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  if (stat === undefined) return undefined;
  const [state, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // A zombie has ended; its parent has not asked yet.
  return state === "Z" || state === "X" ? undefined : rest[18];
}

/** A name for a job runner of this process, by which other processes can tell whether it lives. */
export function ownerName(): string {
  return [place(), process.pid, startTime("self") ?? "-", randomUUID()].join(":");
}

/** Whether the runner of that name is gone, at `nowMs`, with its last heartbeat at `heartbeatMs`. */
export function ownerIsGone(owner: string, heartbeatMs: number, nowMs: number): boolean {
  const [where, pid, started] = owner.split(":");
  if (where === undefined || where === "-" || where !== place() || pid === undefined || !/^\d+$/.test(pid)) {
    return nowMs - heartbeatMs > SILENT_MS;
  }
  return startTime(pid) !== started;
}
