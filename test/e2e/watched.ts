import { type ChildProcessByStdio, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { Client } from "@modelcontextprotocol/client";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { z } from "zod";
import { packageRoot } from "../../src/platform/paths.ts";

const LOCK = "kernelevolve-device-cpu-x86-64.lock";

/** A folder for servers to live in: their data, and a temporary folder of their own in which nothing may be left. */
export class Place implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), "kernelevolve-watched-"));
  readonly home: string = join(this.path, "home");
  readonly tmp: string = join(this.path, "tmp");

  constructor() {
    mkdirSync(this.tmp);
    const lock = join(tmpdir(), LOCK);
    // The same file as the machine's lock: what is timed here still takes turns with what is timed elsewhere.
    if (existsSync(lock)) linkSync(lock, join(this.tmp, LOCK));
  }

  /** Files that a server left behind in its temporary folder. */
  files(): string[] {
    return readdirSync(this.tmp, { recursive: true, encoding: "utf8" }).filter((file) => file !== LOCK);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5 });
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** A process by which it is known for good: its id is used again, its id with its start time is not. */
interface Known {
  readonly pid: string;
  readonly started: string;
  readonly parent: string;
}

function processes(): Known[] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    const stat = read(`/proc/${pid}/stat`);
    const [state, parent = "", ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie has ended; only its parent has not asked yet.
    return stat === "" || state === "Z" || state === "X" ? [] : [{ pid, parent, started: rest[17] ?? "" }];
  });
}

function show({ pid }: Known): string {
  return `${pid}: ${read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").slice(0, 200) || read(`/proc/${pid}/comm`)}`;
}

const GROUPS = ["/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids"];

export interface Answer {
  readonly isError: boolean;
  readonly text: string;
  readonly structured: unknown;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
}

const running = z.object({ job_id: z.string(), state: z.enum(["queued", "running"]) });

/** The built server over stdio with its process in our hands: how it ends, and what it leaves behind. */
export class Watched {
  readonly client: Client = new Client({ name: "e2e", version: "1" });
  readonly ended: Promise<Ended>;
  readonly pid: number;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #mark: string;
  readonly #seen = new Map<string, string>();

  private constructor(place: Place) {
    // A folder of PATH that no other process has: whatever the server starts inherits it.
    this.#mark = join(place.path, `mark-${randomUUID()}`);
    const child = spawn(process.execPath, [join(packageRoot, "dist", "main.js"), "serve"], {
      cwd: place.path,
      env: {
        ...process.env,
        PATH: `${process.env["PATH"] ?? ""}:${this.#mark}`,
        TMPDIR: place.tmp,
        // Node's own cache of compiled modules is no file of the server's.
        NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"),
        KERNELEVOLVE_HOME: place.home,
      },
      stdio: ["pipe", "pipe", "inherit"],
    });
    child.stdin.on("error", () => undefined);
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.ended = once(child, "exit").then(([code, signal]) => ({ code, signal }));
  }

  static async start(place: Place): Promise<Watched> {
    const watched = new Watched(place);
    // A transport of lines over any two streams.
    await watched.client.connect(new StdioServerTransport(watched.#child.stdout, watched.#child.stdin));
    return watched;
  }

  async call(
    name: string,
    args: Record<string, unknown>,
    onprogress: (message: string) => void = () => undefined,
  ): Promise<Answer> {
    const result = await this.client.callTool(
      { name, arguments: args },
      { timeout: 300_000, onprogress: (update) => onprogress(update.message ?? "") },
    );
    const text = result.content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n");
    return { isError: result.isError === true, text, structured: result.structuredContent };
  }

  /** Calls a tool and follows job handles to the end. @throws what the tool says */
  async finish(
    name: string,
    args: Record<string, unknown>,
    onprogress?: (message: string) => void,
  ): Promise<Answer> {
    let answer = await this.call(name, args, onprogress);
    for (;;) {
      if (answer.isError) throw new Error(`${name}: ${answer.text}`);
      const handle = running.safeParse(answer.structured);
      if (!handle.success) return answer;
      answer = await this.call("job_wait", { job_id: handle.data.job_id, wait_seconds: 30 }, onprogress);
    }
  }

  /** Calls a tool and resolves with the first progress message that matches; the call itself is left to its fate. */
  until(name: string, args: Record<string, unknown>, pattern: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      const seen: string[] = [];
      this.finish(name, args, (message) => {
        seen.push(message);
        if (pattern.test(message)) resolve(message);
      }).then(
        (answer) => reject(new Error(`${name} ended before ${pattern}: ${seen.join(" | ")}\n${answer.text}`)),
        reject,
      );
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#look();
    this.#child.kill(signal);
  }

  /** Closes the server's stdin. */
  hangUp(): void {
    this.#look();
    this.#child.stdin.end();
  }

  /** Notes every process that comes from the server at this moment. */
  #look(): Known[] {
    const all = processes();
    const family = new Set([String(this.pid)]);
    for (let size = 0; size < family.size; ) {
      size = family.size;
      for (const one of all) if (family.has(one.parent)) family.add(one.pid);
    }
    const found = all.filter((one) => family.has(one.pid) && one.pid !== String(this.pid));
    for (const one of found) this.#seen.set(one.pid, one.started);
    return found;
  }

  /**
   * What of the server still runs: descendants, those seen before that no longer have a parent, those that inherited its
   * PATH, and those in its control groups.
   */
  processes(): string[] {
    const descendants = new Set(this.#look().map((one) => one.pid));
    const group = `kernelevolve-${this.pid}-`;
    return processes()
      .filter(
        ({ pid, started }) =>
          pid !== String(this.pid) &&
          (descendants.has(pid) ||
            this.#seen.get(pid) === started ||
            read(`/proc/${pid}/environ`).includes(this.#mark) ||
            read(`/proc/${pid}/cgroup`).includes(group)),
      )
      .map(show);
  }

  /** Control groups that the server made and did not remove. */
  groups(): string[] {
    return GROUPS.flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : [])).filter((name) =>
      basename(name).startsWith(`kernelevolve-${this.pid}-`),
    );
  }

  /** Resolves when nothing of the server runs any more: the kernel takes a moment to end what was killed. */
  async quiet(): Promise<void> {
    // Processes that are not our children tell nobody when they end.
    while (this.processes().length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** Resolves when a process of the server's matches: a kernel that has begun says nothing. */
  async runs(pattern: RegExp): Promise<void> {
    while (!this.processes().some((one) => pattern.test(one)))
      await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** Closes stdin and waits for the end. */
  async close(): Promise<Ended> {
    this.hangUp();
    const ended = await this.ended;
    await this.client.close();
    return ended;
  }

  /** Whether nothing has ended it and nobody has told it to end. */
  alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && !this.#child.killed;
  }

  [Symbol.dispose](): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGKILL");
  }
}

const registered = z.object({ problem: z.string() });

/** Registers a row reduction small enough that its evaluation takes a second; the shipped seed kernels fit. @returns its id */
export async function smallProblem(server: Watched): Promise<string> {
  const answer = await server.finish("problem_register", {
    definition: {
      name: "small-rows",
      op_type: "row-reduction",
      axes: { M: { type: "var" }, N: { type: "var" } },
      inputs: { x: { shape: ["M", "N"], dtype: "float32" } },
      outputs: { y: { shape: ["M"], dtype: "float32" } },
      // A line of its own, so that nothing of it was compiled before.
      reference_c: `/* ${randomUUID()} */\n#include "kernel.h"\nvoid kernel(const real_t *x, real_t *y, int64_t M, int64_t N) {\n  for (int64_t i = 0; i < M; i++) {\n    real_t sum = 0;\n    for (int64_t j = 0; j < N; j++) sum += x[i * N + j];\n    y[i] = sum;\n  }\n}\n`,
      cost: { flops: "M*N" },
    },
    workloads: [
      { uuid: "timed", axes: { M: 64, N: 512 }, role: "timed" },
      { uuid: "odd", axes: { M: 7, N: 13 }, role: "edge" },
    ],
  });
  return registered.parse(answer.structured).problem;
}
