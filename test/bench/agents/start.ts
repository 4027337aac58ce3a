import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { packageRoot } from "../../../src/platform/paths.ts";
import type { WorkerOptions } from "./told.ts";

/** A process of agents, and how it ends. */
export interface Agents {
  readonly process: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
}

export function startAgents(options: WorkerOptions): Agents {
  const script = join(packageRoot, "test", "bench", "agents", "worker.ts");
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", script, JSON.stringify(options)],
    {
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, KERNELEVOLVE_LOG: process.env["KERNELEVOLVE_LOG"] ?? "error" },
    },
  );
  return { process: child, ended: once(child, "exit").then(([code, signal]) => ({ code, signal })) };
}
