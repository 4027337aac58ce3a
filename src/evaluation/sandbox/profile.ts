import { dirname } from "node:path";
import type { SandboxProbe } from "../../platform/sandbox-probe.ts";

/**
 * bubblewrap's arguments. As root it only builds the mounts and the namespaces, and the program inside gives up its user itself
 * (a user namespace made by root would leave it root outside, where process limits do not bind). Otherwise a user namespace.
 */
function namespaces(probe: SandboxProbe): string[] {
  const user = probe.root ? [] : ["--unshare-user", "--disable-userns"];
  return [
    ...user,
    "--unshare-pid",
    "--unshare-net",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--die-with-parent",
    "--new-session",
    "--hostname",
    "kernelevolve",
  ];
}

const SYSTEM = ["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"];
const LOADER = ["--symlink", "usr/lib64", "/lib64", "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"];
const ALTERNATIVES = ["--ro-bind-try", "/etc/alternatives", "/etc/alternatives"];

function mounts(tmpBytes: number): string[] {
  const size = String(tmpBytes);
  return [
    ...SYSTEM,
    ...LOADER,
    ...ALTERNATIVES,
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    // Writable for the user that the program becomes.
    "--perms",
    "1777",
    "--size",
    size,
    "--tmpfs",
    "/dev/shm",
    "--perms",
    "1777",
    "--size",
    size,
    "--tmpfs",
    "/tmp",
    "--ro-bind-try",
    "/sys/devices/system",
    "/sys/devices/system",
  ];
}

const DROP = ["--cap-drop", "ALL"];
/** Root needs these two to become another user inside; they are gone after that. */
const CHANGE_USER = ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"];

/** What a process of root needs beside, to make folders for its children's users, and to end them. */
const WARDEN = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL"].flatMap((one) => [
  "--cap-add",
  one,
]);

/** The argument vector that starts `hostProgram` as a host, or undefined in limited mode. */
export function hostSandbox(probe: SandboxProbe, hostProgram: string): string[] | undefined {
  if (probe.bwrap === undefined) return undefined;
  return [
    probe.bwrap,
    ...namespaces(probe),
    ...mounts(16 << 20),
    "--ro-bind",
    hostProgram,
    "/ke-host",
    "--remount-ro",
    "/dev",
    "--remount-ro",
    "/",
    "--chdir",
    "/tmp",
    ...DROP,
    ...(probe.root ? CHANGE_USER : []),
    "/ke-host",
  ];
}

/** The folders above, made so that every user may pass: bubblewrap makes them for its own alone. */
function passages(folders: readonly string[]): string[] {
  const above = new Set<string>();
  for (const folder of folders)
    for (let at = dirname(folder); at !== dirname(at); at = dirname(at)) above.add(at);
  const made = new Set(["/tmp", "/usr", "/dev", "/proc", "/sys"]);
  return [...above]
    .filter((folder) => !made.has(folder))
    .sort((a, b) => a.length - b.length)
    .flatMap((folder) => ["--perms", "0755", "--dir", folder]);
}

/**
 * bubblewrap's arguments for a long-lived process whose children give up their user themselves: folders shown at their own places, read
 * only or writable, and device nodes.
 */
export function sandboxArguments(
  probe: SandboxProbe,
  input: {
    readOnly: readonly string[];
    writable: readonly string[];
    devices: readonly string[];
    tmpBytes: number;
  },
): string[] {
  if (probe.bwrap === undefined) return [];
  return [
    probe.bwrap,
    ...namespaces(probe),
    ...mounts(input.tmpBytes),
    ...(input.devices.length > 0 ? ["--ro-bind-try", "/sys", "/sys"] : []),
    ...input.devices.flatMap((node) => ["--dev-bind", node, node]),
    ...passages([...input.readOnly, ...input.writable]),
    ...input.readOnly.flatMap((folder) => ["--ro-bind", folder, folder]),
    ...input.writable.flatMap((folder) => ["--bind", folder, folder]),
    "--remount-ro",
    "/dev",
    "--remount-ro",
    "/",
    "--chdir",
    "/tmp",
    ...DROP,
    ...(probe.root ? [...CHANGE_USER, ...WARDEN] : []),
  ];
}

export interface ProgramLimits {
  readonly cpuSeconds: number;
  readonly addressSpaceBytes: number;
  readonly fileBytes: number;
  readonly processes: number;
  /** Of all its processes together, where control groups can be made. */
  readonly memoryBytes: number;
}

/**
 * The argument vector that runs `argv` with `jobFolder` at /w (writable, or only the files named in `writable`) and read-only files
 * at given places.
 * In limited mode only the resource limits (and, as root, the other user) remain.
 */
export function programSandbox(
  probe: SandboxProbe,
  input: {
    argv: readonly string[];
    jobFolder: string;
    uid: number;
    limits: ProgramLimits;
    readOnly?: readonly { from: string; to: string }[] | undefined;
    writable?: readonly string[] | undefined;
    env?: Readonly<Record<string, string>> | undefined;
  },
): string[] {
  const { limits } = input;
  const prlimit = [
    "prlimit",
    `--cpu=${limits.cpuSeconds}`,
    `--as=${limits.addressSpaceBytes}`,
    `--fsize=${limits.fileBytes}`,
    `--nproc=${limits.processes}`,
    "--core=0",
    "--nofile=256",
    "--",
  ];
  const user = probe.root
    ? [
        "setpriv",
        `--reuid=${input.uid}`,
        `--regid=${input.uid}`,
        "--clear-groups",
        "--inh-caps=-all",
        "--no-new-privs",
        "--",
      ]
    : [];
  if (probe.bwrap === undefined) return [...user, ...prlimit, ...input.argv];
  return [
    probe.bwrap,
    ...namespaces(probe),
    ...mounts(256 << 20),
    ...(input.readOnly ?? []).flatMap(({ from, to }) => ["--ro-bind", from, to]),
    ...(input.writable === undefined
      ? ["--bind", input.jobFolder, "/w"]
      : [
          "--ro-bind",
          input.jobFolder,
          "/w",
          ...input.writable.flatMap((file) => ["--bind", `${input.jobFolder}/${file}`, `/w/${file}`]),
        ]),
    "--remount-ro",
    "/dev",
    "--remount-ro",
    "/",
    "--chdir",
    "/w",
    "--clearenv",
    "--setenv",
    "PATH",
    "/usr/bin:/bin",
    "--setenv",
    "HOME",
    "/tmp",
    "--setenv",
    "LANG",
    "C.UTF-8",
    "--setenv",
    "TMPDIR",
    "/tmp",
    ...Object.entries(input.env ?? {}).flatMap(([name, value]) => ["--setenv", name, value]),
    ...DROP,
    ...(probe.root ? CHANGE_USER : []),
    ...user,
    ...prlimit,
    ...input.argv,
  ];
}
