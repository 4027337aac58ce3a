import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { join } from "node:path";

export { installCommand } from "../platform/install.ts";

/** One cache of the first processor. */
export interface Cache {
  readonly name: string;
  readonly bytes: number;
  /** Processors (hardware threads) that share one instance. */
  readonly sharers: number;
  readonly ways?: number;
  readonly line?: number;
}

/** What this machine is, read and not measured. */
export interface Machine {
  readonly model: string;
  /** Processors (hardware threads) that this process may use. */
  readonly cores: number;
  /** Physical cores of the machine, where it tells. */
  readonly physicalCores: number | undefined;
  readonly flags: ReadonlySet<string>;
  readonly caches: readonly Cache[];
  /** Bytes of each cache level (data or unified) that one core sees, and of the memory. */
  readonly memory: Readonly<Record<string, number>>;
  readonly virtual: boolean;
  /** Kind of virtual machine; `unknown` when only the processor says that it is one; null on bare metal. */
  readonly hypervisor: string | null;
  readonly microcode: string;
}

/** Where facts are read; tests give a folder with a /proc and a /sys of their own. */
export interface MachineSources {
  readonly root: string;
  readonly cores: number;
  /** Sizes when /sys has none: what `getconf -a` prints. */
  readonly getconf: () => string;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
}

function sizeOf(text: string | undefined): number | undefined {
  const match = /^(\d+)([KMG]?)$/.exec(text ?? "");
  if (match === null) return undefined;
  const unit = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 }[match[2] ?? ""] ?? 1;
  return Number(match[1]) * unit || undefined;
}

/** Number of processors in a list like `0-3,8`. */
function countList(text: string | undefined): number {
  return (text ?? "0").split(",").reduce((sum, part) => {
    const [from, to] = part.split("-").map(Number);
    return sum + Math.max(1, (to ?? from ?? 0) - (from ?? 0) + 1);
  }, 0);
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function cachesOf(root: string): Cache[] {
  const base = join(root, "sys/devices/system/cpu/cpu0/cache");
  const found = entries(base).flatMap((name): Cache[] => {
    const folder = join(base, name);
    const bytes = sizeOf(read(join(folder, "size")));
    const level = read(join(folder, "level"));
    if (bytes === undefined || level === undefined || read(join(folder, "type")) === "Instruction") return [];
    const ways = Number(read(join(folder, "ways_of_associativity")));
    const line = Number(read(join(folder, "coherency_line_size")));
    return [
      {
        name: `L${level}`,
        bytes,
        sharers: countList(read(join(folder, "shared_cpu_list"))),
        ...(ways > 0 ? { ways } : {}),
        ...(line > 0 ? { line } : {}),
      },
    ];
  });
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** LEVEL1_DCACHE_SIZE and the like, for machines whose /sys shows no caches (some containers and virtual machines). */
function cachesOfGetconf(text: string): Cache[] {
  return [...text.matchAll(/^LEVEL(\d)_(D?)CACHE_(SIZE)\s+(\d+)$/gm)].flatMap((match) => {
    const bytes = Number(match[4]);
    return bytes > 0 ? [{ name: `L${match[1]}`, bytes, sharers: 1 }] : [];
  });
}

function getconf(): string {
  return spawnSync("getconf", ["-a"], { encoding: "utf8", timeout: 5000 }).stdout ?? "";
}

function hypervisorOf(root: string, virtual: boolean): string | null {
  const product = ["sys_vendor", "product_name"]
    .map((name) => read(join(root, "sys/class/dmi/id", name)))
    .filter((text) => text !== undefined && text !== "")
    .join(" ");
  const type = read(join(root, "sys/hypervisor/type"));
  if (!virtual && type === undefined) return null;
  return type ?? (product === "" ? "unknown" : product);
}

/** Distinct (package, core) pairs of /proc/cpuinfo; undefined where it names none. */
function physicalCoresOf(cpuinfo: string): number | undefined {
  const pairs = cpuinfo.split(/\n\s*\n/).flatMap((block) => {
    const core = /^core id\s*:\s*(\d+)/m.exec(block)?.[1];
    return core === undefined ? [] : [`${/^physical id\s*:\s*(\d+)/m.exec(block)?.[1] ?? "0"}/${core}`];
  });
  return pairs.length === 0 ? undefined : new Set(pairs).size;
}

/** Reads /proc/cpuinfo and /sys (caches: getconf where /sys has none); what they do not tell is left out, never guessed. */
export function readMachine(sources: Partial<MachineSources> = {}): Machine {
  const root = sources.root ?? "/";
  const info = read(join(root, "proc/cpuinfo")) ?? "";
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}\\s*:\\s*(.*)$`, "m").exec(info)?.[1];
  const flags = new Set((field("flags") ?? "").split(" ").filter((flag) => flag !== ""));
  const fromSys = cachesOf(root);
  const caches = fromSys.length > 0 ? fromSys : cachesOfGetconf((sources.getconf ?? getconf)());
  const kib = /^MemTotal:\s*(\d+) kB$/m.exec(read(join(root, "proc/meminfo")) ?? "")?.[1];
  const virtual = flags.has("hypervisor");
  return {
    model: field("model name") ?? cpus()[0]?.model ?? "unknown processor",
    cores: sources.cores ?? availableParallelism(),
    physicalCores: physicalCoresOf(info),
    flags,
    caches,
    memory: {
      ...Object.fromEntries(caches.map((cache) => [cache.name, cache.bytes])),
      DRAM: kib === undefined ? totalmem() : Number(kib) * 1024,
    },
    virtual,
    hypervisor: hypervisorOf(root, virtual),
    microcode: field("microcode") ?? "",
  };
}

/** One line that names the device in evaluation records. */
export function deviceName(machine: Machine): string {
  return `${machine.model}, ${machine.cores} cores${machine.virtual ? ", virtual machine" : ""}`;
}
