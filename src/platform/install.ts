import { readFileSync } from "node:fs";
import { release } from "node:os";
import { which } from "./which.ts";

/** Package names by manager; `distributions` (by the ID of os-release) win over the manager's own. */
export interface Packages {
  readonly apt?: string | undefined;
  readonly dnf?: string | undefined;
  readonly zypper?: string | undefined;
  readonly pacman?: string | undefined;
  readonly apk?: string | undefined;
  readonly brew?: string | undefined;
  readonly distributions?: Readonly<Record<string, string>> | undefined;
  readonly note?: string | undefined;
}

type Manager = "apt" | "dnf" | "zypper" | "pacman" | "apk" | "brew";

/** In the order they are looked for: some distributions ship a second one as an add-on. */
const MANAGERS: readonly { name: Manager; program: string; install: string; root: boolean }[] = [
  { name: "apt", program: "apt-get", install: "apt-get install -y", root: true },
  { name: "dnf", program: "dnf", install: "dnf install -y", root: true },
  { name: "zypper", program: "zypper", install: "zypper --non-interactive install", root: true },
  { name: "pacman", program: "pacman", install: "pacman -S --needed --noconfirm", root: true },
  { name: "apk", program: "apk", install: "apk add", root: true },
  { name: "brew", program: "brew", install: "brew install", root: false },
];

/** Where the facts come from; tests give their own. */
export interface InstallPlace {
  readonly path?: string | undefined;
  readonly root?: boolean;
  readonly osRelease?: string;
}

/** The package manager of this machine, or undefined. */
export function packageManager(place: InstallPlace = {}): Manager | undefined {
  return MANAGERS.find((one) => which(one.program, place.path) !== undefined)?.name;
}

/** ID of os-release, e.g. `debian`, `ubuntu`; undefined where the file is missing. */
export function distribution(text = readOsRelease()): string | undefined {
  return /^ID="?([a-z0-9._-]+)"?$/m.exec(text)?.[1];
}

function readOsRelease(): string {
  for (const file of ["/etc/os-release", "/usr/lib/os-release"]) {
    try {
      return readFileSync(file, "utf8");
    } catch {
      // The next place.
    }
  }
  return "";
}

/** `command` as a user of this process would have to type it: with sudo unless root already. */
export function asRoot(command: string, place: InstallPlace = {}): string {
  return (place.root ?? process.getuid?.() === 0) ? command : `sudo ${command}`;
}

/** The command that installs packages here, by the package manager that the machine has; else the note, if there is one. */
export function installCommand(packages: Packages, place: InstallPlace = {}): string | undefined {
  for (const manager of MANAGERS) {
    if (which(manager.program, place.path) === undefined) continue;
    const here = distribution(place.osRelease);
    const names = (here === undefined ? undefined : packages.distributions?.[here]) ?? packages[manager.name];
    if (names === undefined) continue;
    const command = `${manager.install} ${names.replaceAll("{kernel}", release())}`;
    return manager.root ? asRoot(command, place) : command;
  }
  return packages.note;
}
