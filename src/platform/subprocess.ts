import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

export interface ProcessResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  readonly seconds: number;
  /** Set when output beyond the cap was thrown away. */
  readonly truncated: boolean;
}

export interface ProcessOptions {
  readonly argv: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Bytes kept of each stream; the rest is read and dropped. Default 1 MiB. */
  readonly cap?: number;
  readonly stdin?: string;
  /** Called with each whole line of stdout, beside the capture. */
  readonly onLine?: (line: string) => void;
}

/** Everything a process started, by /proc: a child that made its own session is found too. */
function descendants(pid: number): number[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  } catch {
    return [];
  }
  return text
    .split(" ")
    .filter((word) => word !== "")
    .map(Number)
    .flatMap((child) => [child, ...descendants(child)]);
}

/** How long the pipes of an ended program may stay open in the hands of what it left behind. */
const DRAIN_MS = 500;

/** SIGKILL to a process, its group and everything under it. */
export function killTree(pid: number): void {
  const all = [...descendants(pid), pid];
  kill(-pid);
  for (const target of all) kill(target);
}

function kill(target: number): void {
  try {
    process.kill(target, "SIGKILL");
  } catch {
    // Gone already.
  }
}

/**
 * Runs a program in its own process group, with capped output and a wall-clock limit after which the whole tree is killed.
 * Never rejects for what the program does; rejects only when it cannot be started.
 */
export function runProcess(options: ProcessOptions): Promise<ProcessResult> {
  const [program, ...args] = options.argv;
  if (program === undefined) throw new TypeError("argv is empty");
  const cap = options.cap ?? 1 << 20;
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LANG: "C.UTF-8", ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    const streams = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    const sizes = { stdout: 0, stderr: 0 };
    let timedOut = false;
    let truncated = false;
    let pending = "";
    const stop = (): void => {
      if (child.pid !== undefined) killTree(child.pid);
    };
    const timer = setTimeout(() => {
      timedOut = true;
      stop();
    }, options.timeoutMs);
    const keep = (name: "stdout" | "stderr") => (chunk: Buffer) => {
      const room = cap - sizes[name];
      sizes[name] += chunk.length;
      if (room > 0) streams[name].push(chunk.subarray(0, room));
      if (chunk.length > room) truncated = true;
    };
    child.stdout.on("data", keep("stdout"));
    child.stderr.on("data", keep("stderr"));
    if (options.onLine !== undefined) {
      const onLine = options.onLine;
      child.stdout.on("data", (chunk: Buffer) => {
        const lines = (pending + chunk.toString("utf8")).split("\n");
        pending = lines.pop() ?? "";
        for (const line of lines) onLine(line);
      });
    }
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.stdin ?? "");
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    let drain: NodeJS.Timeout | undefined;
    child.on("exit", () => {
      // What it left in its own group goes with it.
      if (child.pid !== undefined) kill(-child.pid);
      // A child in a session of its own holds the pipes open and is out of reach here: what it says is not waited for.
      drain = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, DRAIN_MS);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      clearTimeout(drain);
      options.signal?.removeEventListener("abort", stop);
      resolve({
        code,
        signal,
        stdout: Buffer.concat(streams.stdout).toString("utf8"),
        stderr: Buffer.concat(streams.stderr).toString("utf8"),
        timedOut,
        truncated,
        seconds: (performance.now() - started) / 1000,
      });
    });
    if (options.signal?.aborted === true) stop();
    else options.signal?.addEventListener("abort", stop, { once: true });
  });
}
