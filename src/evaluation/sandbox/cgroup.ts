import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
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

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** Whether groups made inside `folder` (cgroup v2) get the memory and pids controllers. */
function delegates(folder: string): boolean {
  const given = read(join(folder, "cgroup.subtree_control")).split(/\s+/);
  return given.includes("memory") && given.includes("pids");
}

/**
 * The nearest folder at or above our own whose children can be limited (v2: a group with processes of its own cannot have such
 * children, so it is usually the one above). The root of the hierarchy may be asked to give its controllers on.
 */
function parentV2(root: string, own: string): string | undefined {
  for (let place = own; ; place = dirname(place)) {
    const folder = join(root, place);
    if (delegates(folder)) return folder;
    if (place === "/" || place === ".") break;
  }
  try {
    writeFileSync(join(root, "cgroup.subtree_control"), "+memory +pids");
  } catch {
    return undefined;
  }
  return delegates(root) ? root : undefined;
}

function controllers(root: string, name: string, memoryBytes: number, processes: number): Controller[] {
  const v1 = ["memory", "pids"].every((controller) => existsSync(join(root, controller, "cgroup.procs")));
  if (v1) {
    return [
      { folder: join(root, "memory", name), settings: [["memory.limit_in_bytes", String(memoryBytes)]] },
      { folder: join(root, "pids", name), settings: [["pids.max", String(processes)]] },
    ];
  }
  if (!existsSync(join(root, "cgroup.controllers"))) return [];
  const own = /^0::(.*)$/m.exec(read("/proc/self/cgroup"))?.[1] ?? "/";
  const parent = parentV2(root, own);
  if (parent === undefined) return [];
  return [
    {
      folder: join(parent, name),
      settings: [
        ["memory.max", String(memoryBytes)],
        ["memory.swap.max", "0"],
        ["pids.max", String(processes)],
      ],
    },
  ];
}

/**
 * Makes a group with a memory and a process limit; an empty one where cgroups cannot be written (then rlimits alone hold).
 * @param root where the hierarchy is mounted; for tests
 */
export function makeControlGroup(memoryBytes: number, processes: number, root = ROOT): ControlGroup {
  counter += 1;
  const name = `kernelevolve-${process.pid}-${counter}`;
  const made: string[] = [];
  try {
    for (const { folder, settings } of controllers(root, name, memoryBytes, processes)) {
      mkdirSync(folder);
      made.push(folder);
      for (const [file, value] of settings) {
        // Without swap accounting there is no such file, and nothing to limit.
        if (file === "memory.swap.max" && !existsSync(join(folder, file))) continue;
        writeFileSync(join(folder, file), value);
      }
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

/** Joins the groups, then becomes the program: nothing of it ever runs outside. */
const JOIN = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 121; shift; done; shift; exec "$@"';

/** The argument vector that runs `argv` inside the groups. */
export function inGroup(procs: readonly string[], argv: readonly string[]): string[] {
  return procs.length === 0 ? [...argv] : ["/bin/sh", "-c", JOIN, "ke-group", ...procs, "--", ...argv];
}

function removeGroup(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch {
    return !existsSync(folder);
  }
}
