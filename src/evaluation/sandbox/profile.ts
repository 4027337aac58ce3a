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
