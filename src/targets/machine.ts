import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { join } from "node:path";
import { which } from "../platform/which.ts";

/** What this machine is, read and not measured. */
export interface Machine {
  readonly model: string;
  readonly cores: number;
  readonly flags: ReadonlySet<string>;
  /** Bytes of each cache level (data or unified) that one core sees, and of the memory. */
  readonly memory: Readonly<Record<string, number>>;
  readonly virtual: boolean;
  readonly microcode: string;
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
  return Number(match[1]) * unit;
}

function caches(): Record<string, number> {
  const found: Record<string, number> = {};
  for (let index = 0; index < 8; index += 1) {
    const folder = join("/sys/devices/system/cpu/cpu0/cache", `index${index}`);
    if (!existsSync(folder)) break;
    const size = sizeOf(read(join(folder, "size")));
    const level = read(join(folder, "level"));
    if (size !== undefined && level !== undefined && read(join(folder, "type")) !== "Instruction")
      found[`L${level}`] = size;
  }
  return found;
}

/** Reads /proc/cpuinfo and /sys; what they do not tell is left out, never guessed. */
export function readMachine(): Machine {
  const info = read("/proc/cpuinfo") ?? "";
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}\\s*:\\s*(.*)$`, "m").exec(info)?.[1];
  const flags = new Set((field("flags") ?? "").split(" "));
  return {
    model: field("model name") ?? cpus()[0]?.model ?? "unknown processor",
    cores: availableParallelism(),
    flags,
    memory: { ...caches(), DRAM: totalmem() },
    virtual: flags.has("hypervisor"),
    microcode: field("microcode") ?? "",
  };
}

/** One line that names the device in evaluation records. */
export function deviceName(machine: Machine): string {
  return `${machine.model}, ${machine.cores} cores${machine.virtual ? ", virtual machine" : ""}`;
}

/** The command that installs packages here, by the package manager that the machine has. */
export function installCommand(packages: {
  apt?: string | undefined;
  dnf?: string | undefined;
  pacman?: string | undefined;
  apk?: string | undefined;
  note?: string | undefined;
}): string | undefined {
  const sudo = process.getuid?.() === 0 ? "" : "sudo ";
  const note = packages.note === undefined ? "" : ` (${packages.note})`;
  if (which("apt-get") !== undefined && packages.apt !== undefined)
    return `${sudo}apt-get install -y ${packages.apt}${note}`;
  if (which("dnf") !== undefined && packages.dnf !== undefined)
    return `${sudo}dnf install -y ${packages.dnf}${note}`;
  if (which("pacman") !== undefined && packages.pacman !== undefined)
    return `${sudo}pacman -S ${packages.pacman}${note}`;
  if (which("apk") !== undefined && packages.apk !== undefined)
    return `${sudo}apk add ${packages.apk}${note}`;
  return packages.note;
}
