import { existsSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import type { SandboxProbe } from "../../platform/sandbox-probe.ts";
import { type TorchEnvironment, torchTools } from "../../platform/torch-environment.ts";
import { sandboxArguments } from "../sandbox/profile.ts";

/** What the driver of NVIDIA devices needs to be opened by a process that computes. */
function deviceNodes(): string[] {
  const named = readdirSync("/dev").filter((name) => /^nvidia(\d+|ctl|-uvm|-uvm-tools)$/.test(name));
  return named.map((name) => join("/dev", name));
}

/**
 * The argument vector before a torch host's zygote: a private view of the machine with Python, our tools and, on a device, the
 * driver's nodes. Empty in limited mode. `writable` are folders that its candidates may write, at their own places.
 */
export function torchSandbox(
  probe: SandboxProbe,
  environment: TorchEnvironment,
  device: "cpu" | "cuda",
  writable: readonly string[],
): string[] {
  if (probe.bwrap === undefined) return [];
  const python = environment.python === undefined ? [] : [dirname(realpathSync(environment.python))];
  const shown = [...new Set([...environment.prefixes, ...python, torchTools])].filter(
    (folder) => existsSync(folder) && !folder.startsWith("/usr/"),
  );
  const nodes = device === "cuda" ? deviceNodes() : [];
  return sandboxArguments(probe, {
    readOnly: shown,
    writable,
    devices: nodes,
    // What torch and the compilers that it calls put into /tmp.
    tmpBytes: 2 * 2 ** 30,
  });
}
