import { runProcess } from "./subprocess.ts";
import { which } from "./which.ts";

/** Whether programs can be run apart from the machine, and by which means. */
export interface SandboxProbe {
  readonly kind: "full" | "limited";
  /** Path of bubblewrap when it works. */
  readonly bwrap: string | undefined;
  readonly root: boolean;
  /** Why it is limited, in words. */
  readonly detail: string;
  readonly fix: string | undefined;
}

let known: Promise<SandboxProbe> | undefined;

/** Tries bubblewrap once with the namespaces that hosts get. The answer holds for the life of the process. */
export function probeSandbox(): Promise<SandboxProbe> {
  known ??= probe();
  return known;
}

async function probe(): Promise<SandboxProbe> {
  const root = process.getuid?.() === 0;
  if (process.env["KERNELEVOLVE_SANDBOX"] === "limited") {
    return {
      kind: "limited",
      bwrap: undefined,
      root,
      detail: "limited by KERNELEVOLVE_SANDBOX",
      fix: "unset KERNELEVOLVE_SANDBOX",
    };
  }
  const bwrap = which("bwrap");
  if (bwrap === undefined) {
    return {
      kind: "limited",
      bwrap: undefined,
      root,
      detail: "bubblewrap is not installed",
      fix: "apt-get install bubblewrap",
    };
  }
  const user = root ? [] : ["--unshare-user"];
  const argv = [
    bwrap,
    ...user,
    "--unshare-pid",
    "--unshare-net",
    "--unshare-ipc",
    "--unshare-uts",
    "--die-with-parent",
  ];
  const result = await runProcess({
    argv: [
      ...argv,
      "--ro-bind",
      "/usr",
      "/usr",
      "--symlink",
      "usr/lib",
      "/lib",
      "--symlink",
      "usr/lib64",
      "/lib64",
      "--proc",
      "/proc",
      "/usr/bin/true",
    ],
    timeoutMs: 10_000,
  });
  if (result.code === 0) return { kind: "full", bwrap, root, detail: "bubblewrap works", fix: undefined };
  return {
    kind: "limited",
    bwrap: undefined,
    root,
    detail: `bubblewrap does not work here: ${result.stderr.trim().slice(0, 200)}`,
    fix: "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, or an AppArmor profile for bwrap)",
  };
}
