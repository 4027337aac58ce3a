import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import type { z } from "zod";
import { KernelEvolveError, type WorkContext } from "../../domain/index.ts";
import { killTree } from "../../platform/subprocess.ts";
import { plainText } from "../../platform/text.ts";
import { pythonEnvironment } from "../../platform/torch-environment.ts";
import { type TorchEvent, torchEventSchema } from "./events.ts";

/** A warm judge that nobody asks is ended after this; its processes hold a gigabyte and, on a device, a context. */
const IDLE_MS = 10 * 60_000;
const STDERR_KEPT = 8000;
const MAX_LINE = 8 << 20;

interface Asked<E> {
  readonly events: E[];
  readonly onEvent: (event: E) => void;
  readonly resolve: (events: E[]) => void;
  readonly reject: (error: KernelEvolveError) => void;
}

/** One `python -m <module> --serve` of tools/torch, started when first asked and kept warm; it answers one job at a time. */
export class TorchServer<E extends { readonly event: string; readonly retired?: boolean | undefined }> {
  readonly #python: string;
  readonly #module: string;
  readonly #schema: z.ZodType<E>;
  #child: ChildProcessWithoutNullStreams | undefined;
  #asked: Asked<E> | undefined;
  #stderr = "";
  #pending = "";
  #queue: Promise<void> = Promise.resolve();
  #idle: NodeJS.Timeout | undefined;

  constructor(python: string, module: string, schema: z.ZodType<E>) {
    this.#python = python;
    this.#module = module;
    this.#schema = schema;
  }

  /**
   * Runs one job when those before it are done, and answers its events in order.
   * @throws infrastructure when the judge ends, says something unknown, or takes longer than `timeoutMs` (counted from the job's own
   *   start); cancelled when the signal fired. In each case the judge and all its processes are ended, and the next job starts anew.
   */
  async ask(
    job: object,
    timeoutMs: number,
    context: WorkContext,
    onEvent: (event: E) => void = () => undefined,
  ): Promise<E[]> {
    const turn = Promise.withResolvers<void>();
    const before = this.#queue;
    this.#queue = before.then(() => turn.promise);
    try {
      await before;
      context.signal.throwIfAborted();
      return await this.#run(job, timeoutMs, context.signal, onEvent);
    } catch (error) {
      if (context.signal.aborted) throw new KernelEvolveError("cancelled", "the evaluation was cancelled");
      throw error;
    } finally {
      turn.resolve();
    }
  }

  async #run(job: object, timeoutMs: number, signal: AbortSignal, onEvent: (event: E) => void): Promise<E[]> {
    clearTimeout(this.#idle);
    const child = this.#child ?? this.#start();
    const stop = (): void => this.#fail("the evaluation was cancelled");
    const timer = setTimeout(
      () => this.#fail(`${this.#module} did not answer within ${Math.round(timeoutMs / 1000)} s`),
      timeoutMs,
    );
    signal.addEventListener("abort", stop, { once: true });
    try {
      return await new Promise<E[]>((resolve, reject) => {
        this.#asked = { events: [], onEvent, resolve, reject };
        child.stdin.write(`${JSON.stringify(job)}\n`);
      });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      this.#asked = undefined;
      this.#idle = setTimeout(() => this.close(), IDLE_MS).unref();
    }
  }

  #start(): ChildProcessWithoutNullStreams {
    const child = spawn(this.#python, ["-B", "-m", this.#module, "--serve"], {
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LANG: "C.UTF-8", ...pythonEnvironment() },
      stdio: ["pipe", "pipe", "pipe"],
      cwd: "/",
      detached: true,
    });
    this.#child = child;
    this.#stderr = "";
    this.#pending = "";
    child.stdin.on("error", () => undefined);
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => this.#read(child, chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      this.#stderr = (this.#stderr + chunk).slice(-STDERR_KEPT);
    });
    const ended = (how: string): void => {
      if (this.#child !== child) return;
      const said = plainText(this.#stderr, STDERR_KEPT).trim().slice(-600);
      this.#fail(`${this.#module} ended early (${how})${said === "" ? "" : `: ${said}`}`);
    };
    child.on("error", (error) => ended(error.message));
    child.on("close", (code, signal) => ended(signal ?? `exit ${code}`));
    // A warm judge does not keep the server alive by itself; a waiting job does, by its timer.
    child.unref();
    return child;
  }

  #read(child: ChildProcessWithoutNullStreams, chunk: string): void {
    if (this.#child !== child) return;
    const lines = (this.#pending + chunk).split("\n");
    this.#pending = lines.pop() ?? "";
    if (this.#pending.length > MAX_LINE) {
      this.#fail(`${this.#module} wrote a line without end`);
      return;
    }
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    const asked = this.#asked;
    if (asked === undefined || line === "") return;
    let event: E;
    try {
      event = this.#schema.parse(JSON.parse(line));
    } catch {
      this.#fail(`${this.#module} said something unknown: ${plainText(line, 300)}`);
      return;
    }
    asked.events.push(event);
    asked.onEvent(event);
    if (event.event !== "done") return;
    asked.resolve(asked.events);
    if (event.retired === true) this.close();
  }

  #fail(message: string): void {
    const asked = this.#asked;
    this.close();
    asked?.reject(new KernelEvolveError("infrastructure", message));
  }

  /** Ends the judge with everything that it started. It starts again when asked. */
  close(): void {
    clearTimeout(this.#idle);
    const child = this.#child;
    this.#child = undefined;
    this.#asked = undefined;
    if (child?.pid !== undefined) killTree(child.pid);
  }
}

/** The judge: `python -m ke_torch.judge --serve`. */
export class TorchJudge extends TorchServer<TorchEvent> {
  constructor(python: string) {
    super(python, "ke_torch.judge", torchEventSchema);
  }
}
