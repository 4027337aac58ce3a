import { readFileSync } from "node:fs";
import { asRoot, installCommand } from "./install.ts";
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

const PACKAGES = {
  apt: "bubblewrap",
  dnf: "bubblewrap",
  zypper: "bubblewrap",
  pacman: "bubblewrap",
  apk: "bubblewrap",
  note: "install bubblewrap (https://github.com/containers/bubblewrap)",
};

let known: Promise<SandboxProbe> | undefined;

/** Tries bubblewrap once with the namespaces that hosts get. The answer holds for the life of the process unless `fresh`. */
export function probeSandbox(options: { fresh?: boolean } = {}): Promise<SandboxProbe> {
  if (options.fresh === true) known = undefined;
  known ??= probe();
  return known;
}

async function probe(): Promise<SandboxProbe> {
  const root = process.getuid?.() === 0;
  const limited = (detail: string, fix: string | undefined): SandboxProbe => ({
    kind: "limited",
    bwrap: undefined,
    root,
    detail,
    fix,
  });
  if (process.env["KERNELEVOLVE_SANDBOX"] === "limited")
    return limited("limited by KERNELEVOLVE_SANDBOX", "unset KERNELEVOLVE_SANDBOX");
  const bwrap = which("bwrap");
  if (bwrap === undefined) return limited("bubblewrap is not installed", installCommand(PACKAGES));
  const namespaces = [
    "--unshare-pid",
    "--unshare-net",
    "--unshare-ipc",
    "--unshare-uts",
    "--die-with-parent",
  ];
  const mounts = [
    "--ro-bind",
    "/usr",
    "/usr",
    "--symlink",
    "usr/lib",
    "/lib",
    "--symlink",
    "usr/lib64",
    "/lib64",
  ];
  const argv = [bwrap, ...(root ? [] : ["--unshare-user"]), ...namespaces, ...mounts, "--proc", "/proc"];
  try {
    const result = await runProcess({ argv: [...argv, "/usr/bin/true"], timeoutMs: 10_000 });
    if (result.code === 0) return { kind: "full", bwrap, root, detail: "bubblewrap works", fix: undefined };
    const said = result.timedOut ? "it did not end within 10 s" : result.stderr.trim().slice(0, 200);
    return limited(`bubblewrap does not work here: ${said}`, namespaceFix(root));
  } catch (error) {
    return limited(`bubblewrap does not start: ${String(error).slice(0, 200)}`, installCommand(PACKAGES));
  }
}

/** What forbids user namespaces here, as the command that allows them. */
function namespaceFix(root: boolean): string {
  if (root)
    return "give the container the right to make namespaces (for docker: --security-opt seccomp=unconfined --cap-add SYS_ADMIN), or run outside it";
  const setting = (name: string): string => {
    try {
      return readFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, "utf8").trim();
    } catch {
      return "";
    }
  };
  const allow = (pair: string): string => asRoot(`sysctl -w ${pair}`);
  if (setting("kernel.apparmor_restrict_unprivileged_userns") === "1")
    return allow("kernel.apparmor_restrict_unprivileged_userns=0");
  if (setting("kernel.unprivileged_userns_clone") === "0") return allow("kernel.unprivileged_userns_clone=1");
  if (setting("user.max_user_namespaces") === "0") return allow("user.max_user_namespaces=15000");
  return "allow unprivileged user namespaces, or run outside the container";
}
