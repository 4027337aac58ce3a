import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { z } from "zod";
import {
  errorMessage,
  type Job,
  type JobService,
  KernelEvolveError,
  type ProgressUpdate,
  type WorkContext,
} from "../domain/index.ts";
import { log } from "../platform/log.ts";
import type { JobRepository, JobRow } from "../store/index.ts";

/** What runs a kind of job. Handlers are idempotent: after a crash the job is started again with the same arguments. */
export interface JobHandler {
  /** Checks the arguments and answers the work. */
  run(args: unknown, context: WorkContext): Promise<unknown>;
}

const HEARTBEAT_MS = 2_000;
/** An owner silent for this long is taken for dead. */
const STALE_MS = 15_000;
const KEPT_JOBS = 1_000;

const errorSchema = z.object({ code: z.string(), message: z.string(), fix: z.string().optional() });

interface Running {
  readonly abort: AbortController;
  readonly ended: Promise<void>;
  cancelled: boolean;
}

/** Names this process so that another can tell whether it still lives: boot id, pid and start time. */
function ownerName(): string {
  return `${bootId()}:${process.pid}:${startTime(process.pid) ?? "?"}`;
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown-boot";
  }
}

function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

function ownerIsDead(owner: string): boolean {
  const [boot, pid, started] = owner.split(":");
  if (boot !== bootId()) return boot !== "unknown-boot";
  return started !== "?" && startTime(Number(pid)) !== started;
}

/** Runs jobs in this process and keeps them in the store, so that a restart (or another server) goes on with them. */
export class LocalJobs implements JobService {
  readonly #store: JobRepository;
  readonly #handlers = new Map<string, JobHandler>();
  readonly #running = new Map<string, Running>();
  readonly #listeners = new Map<string, Set<(job: Job) => void>>();
  readonly #owner = `${ownerName()}:${randomUUID().slice(0, 8)}`;
  readonly #limit: number;
  readonly #queue: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(store: JobRepository, options: { concurrency?: number } = {}) {
    this.#store = store;
    this.#limit = options.concurrency ?? 4;
  }

  register(kind: string, handler: JobHandler): void {
    this.#handlers.set(kind, handler);
  }

  /** Goes on with jobs that an ended server left behind. Called once, when the handlers are registered. */
  resume(): void {
    for (const row of this.#store.orphans(ownerIsDead, Date.now(), STALE_MS)) {
      if (!this.#handlers.has(row.kind)) continue;
      if (row.owner !== null && ownerIsDead(row.owner)) this.#store.expire(row.id, row.owner);
      this.#enqueue(row.id);
    }
    this.#store.prune(KEPT_JOBS);
  }

  async start(kind: string, args: unknown, options: { idempotency_key?: string } = {}): Promise<Job> {
    if (this.#closed) throw new KernelEvolveError("cancelled", "the server is shutting down");
    if (!this.#handlers.has(kind))
      throw new KernelEvolveError("invalid_argument", `there is no job of kind ${kind}`);
    const id = `job_${randomUUID()}`;
    const row = this.#store.create(
      id,
      kind,
      JSON.stringify(args ?? null),
      options.idempotency_key,
      new Date().toISOString(),
    );
    if (row.id === id) this.#enqueue(id);
    return this.#job(row);
  }

  #enqueue(id: string): void {
    this.#queue.push(id);
    this.#pump();
  }

  #pump(): void {
    while (!this.#closed && this.#running.size < this.#limit) {
      const id = this.#queue.shift();
      if (id === undefined) return;
      if (!this.#store.take(id, this.#owner, Date.now(), STALE_MS)) continue;
      const row = this.#store.get(id);
      const handler = row === undefined ? undefined : this.#handlers.get(row.kind);
      if (row === undefined || handler === undefined) continue;
      const abort = new AbortController();
      const running: Running = { abort, cancelled: false, ended: this.#execute(row, handler, abort) };
      this.#running.set(id, running);
      void running.ended.finally(() => {
        this.#running.delete(id);
        this.#pump();
      });
    }
    this.#timer ??= setInterval(() => this.#store.beat(this.#owner, Date.now()), HEARTBEAT_MS).unref();
  }

  async #execute(row: JobRow, handler: JobHandler, abort: AbortController): Promise<void> {
    let last = 0;
    const report = (update: ProgressUpdate): void => {
      if (abort.signal.aborted || this.#closed) return;
      // A database write for every step of fast work would cost more than the work.
      const now = Date.now();
      const final = update.total !== undefined && update.progress >= update.total;
      if (now - last < 100 && !final) return;
      last = now;
      this.#store.progress(
        row.id,
        update.progress,
        update.total,
        update.message.slice(0, 500),
        new Date(now).toISOString(),
      );
      this.#notify(row.id);
    };
    const now = (): string => new Date().toISOString();
    try {
      // Let the caller of start() see the job before it begins.
      await Promise.resolve();
      const result = await handler.run(JSON.parse(row.args), { signal: abort.signal, report });
      this.#store.finish(row.id, "done", JSON.stringify(result ?? null), null, "done", now());
    } catch (error) {
      if (this.#closed) this.#store.requeue(row.id, this.#owner);
      else if (this.#running.get(row.id)?.cancelled === true) {
        this.#store.finish(
          row.id,
          "cancelled",
          null,
          JSON.stringify({ code: "cancelled", message: "cancelled" }),
          "cancelled",
          now(),
        );
      } else {
        const known = error instanceof KernelEvolveError;
        if (!known) log.error({ err: error, job: row.id, kind: row.kind }, "job failed");
        const told = {
          code: known ? error.code : "infrastructure",
          message: errorMessage(error).slice(0, 4000),
          ...(known && error.fix !== undefined ? { fix: error.fix } : {}),
        };
        this.#store.finish(row.id, "failed", null, JSON.stringify(told), told.message.slice(0, 500), now());
      }
    }
    this.#notify(row.id);
  }

  #job(row: JobRow): Job {
    const error = row.error === null ? undefined : errorSchema.parse(JSON.parse(row.error));
    return {
      id: row.id,
      kind: row.kind,
      state: row.state,
      progress: row.progress,
      ...(row.total === null ? {} : { total: row.total }),
      message: row.message,
      created_at: row.created_at,
      updated_at: row.updated_at,
      ...(row.result === null ? {} : { result: JSON.parse(row.result) }),
      ...(error === undefined
        ? {}
        : {
            error: {
              code: error.code,
              message: error.message,
              ...(error.fix === undefined ? {} : { fix: error.fix }),
            },
          }),
    };
  }

  #notify(id: string): void {
    const listeners = this.#listeners.get(id);
    if (listeners === undefined || this.#closed) return;
    const row = this.#store.get(id);
    if (row === undefined) return;
    const job = this.#job(row);
    for (const listener of listeners) listener(job);
  }

  async get(id: string): Promise<Job> {
    const row = this.#store.get(id);
    if (row === undefined) {
      throw new KernelEvolveError("not_found", `job ${id.slice(0, 80)} is unknown`, {
        fix: "ended jobs are forgotten after a while; start the work again",
      });
    }
    return this.#job(row);
  }

  async list(filter: { state?: Job["state"] } = {}): Promise<Job[]> {
    return this.#store.list(filter.state).map((row) => this.#job(row));
  }

  async wait(id: string, seconds: number, context: WorkContext): Promise<Job> {
    const first = await this.get(id);
    const ended = (job: Job): boolean => job.state !== "queued" && job.state !== "running";
    if (ended(first)) return first;
    const listeners = this.#listeners.get(id) ?? new Set();
    this.#listeners.set(id, listeners);
    const tell = (job: Job): void =>
      context.report({
        progress: job.progress,
        ...(job.total === undefined ? {} : { total: job.total }),
        message: job.message,
      });
    tell(first);
    return await new Promise<Job>((resolve, reject) => {
      const finish = (act: () => void): void => {
        clearTimeout(timer);
        clearInterval(poll);
        listeners.delete(listen);
        if (listeners.size === 0) this.#listeners.delete(id);
        context.signal.removeEventListener("abort", aborted);
        act();
      };
      const listen = (job: Job): void => {
        if (ended(job)) finish(() => resolve(job));
        else tell(job);
      };
      const aborted = (): void =>
        finish(() => reject(new KernelEvolveError("cancelled", "the wait was cancelled; the job goes on")));
      const timer = setTimeout(() => finish(() => resolve(this.get(id))), seconds * 1000);
      // The job may run in another server on the same store, which cannot notify us.
      const poll = setInterval(() => {
        if (this.#running.has(id) || this.#closed) return;
        const row = this.#store.get(id);
        if (row !== undefined) listen(this.#job(row));
      }, 1000);
      listeners.add(listen);
      if (context.signal.aborted) aborted();
      else context.signal.addEventListener("abort", aborted, { once: true });
    });
  }

  async cancel(id: string): Promise<Job> {
    const running = this.#running.get(id);
    if (running !== undefined) {
      running.cancelled = true;
      running.abort.abort(new KernelEvolveError("cancelled", "the job was cancelled"));
      await running.ended;
      return await this.get(id);
    }
    await this.get(id);
    this.#store.finish(
      id,
      "cancelled",
      null,
      JSON.stringify({ code: "cancelled", message: "cancelled before it ran here" }),
      "cancelled",
      new Date().toISOString(),
    );
    this.#notify(id);
    return await this.get(id);
  }

  /** Stops running jobs and leaves them in the queue for the next server. Waits until their children have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const running of this.#running.values())
      running.abort.abort(new KernelEvolveError("cancelled", "the server is shutting down"));
    await Promise.allSettled([...this.#running.values()].map((running) => running.ended));
  }
}
