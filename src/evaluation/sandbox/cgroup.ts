import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../../platform/log.ts";

const ROOT = "/sys/fs/cgroup";
let counter = 0;

/** Limits on a whole group of processes, where the machine lets us make one. */
export interface ControlGroup {
  /** Files into which a process writes its pid to join. Empty where no group could be made. */
  readonly procs: readonly string[];
  remove(): Promise<void>;
}

interface Controller {
  readonly folder: string;
  readonly settings: readonly (readonly [string, string])[];
}

function controllers(name: string, memoryBytes: number, processes: number): Controller[] {
  const v1 = ["memory", "pids"].every((controller) => existsSync(join(ROOT, controller, "cgroup.procs")));
  if (v1) {
    return [
      { folder: join(ROOT, "memory", name), settings: [["memory.limit_in_bytes", String(memoryBytes)]] },
      { folder: join(ROOT, "pids", name), settings: [["pids.max", String(processes)]] },
    ];
  }
  if (!existsSync(join(ROOT, "cgroup.controllers"))) return [];
  const own = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1] ?? "/";
  return [
    {
      folder: join(ROOT, own, name),
      settings: [
        ["memory.max", String(memoryBytes)],
        ["memory.swap.max", "0"],
        ["pids.max", String(processes)],
      ],
    },
  ];
}

/** Makes a group with a memory and a process limit; an empty one where cgroups cannot be written (then rlimits alone hold). */
export function makeControlGroup(memoryBytes: number, processes: number): ControlGroup {
  counter += 1;
  const made: string[] = [];
  try {
    for (const { folder, settings } of controllers(
      `kernelevolve-${process.pid}-${counter}`,
      memoryBytes,
      processes,
    )) {
      mkdirSync(folder);
      made.push(folder);
      for (const [file, value] of settings) writeFileSync(join(folder, file), value);
    }
  } catch (error) {
    log.debug({ err: error }, "no control groups");
    for (const folder of made) removeGroup(folder);
    made.length = 0;
  }
  return {
    procs: made.map((folder) => join(folder, "cgroup.procs")),
    remove: async () => {
      for (const folder of made) {
        // Killed processes leave the group a moment after they are gone.
        for (let attempt = 0; attempt < 50 && !removeGroup(folder); attempt += 1) await sleep(5);
      }
    },
  };
}

function removeGroup(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch {
    return !existsSync(folder);
  }
}
