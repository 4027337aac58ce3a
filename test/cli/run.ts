import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../../src/platform/paths.ts";

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built command line as a user does, with a data home of its own. `head`: stop reading stdout after so many bytes. `begun` gets the process as soon as it runs. */
export function cli(
  args: readonly string[],
  options: {
    home: string;
    cwd?: string;
    head?: number;
    env?: Record<string, string>;
    begun?: (child: ChildProcess) => void;
  },
): Promise<Outcome> {
  const child = spawn(process.execPath, [join(packageRoot, "dist", "main.js"), ...args], {
    cwd: options.cwd ?? options.home,
    env: { ...process.env, KERNELEVOLVE_HOME: join(options.home, "data"), ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  options.begun?.(child);
  // Nothing is read at all: what it writes meets a pipe without a reader for certain.
  if (options.head === 0) child.stdout.destroy();
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString("utf8");
    if (options.head !== undefined && stdout.length >= options.head) child.stdout.destroy();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString("utf8");
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}
