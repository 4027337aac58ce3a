import { randomUUID } from "node:crypto";
import {
  errorMessage,
  type Job,
  type JobService,
  KernelEvolveError,
  type ProgressUpdate,
  type WorkContext,
} from "../domain/index.ts";
import { canonicalJson } from "../platform/hash.ts";
import { log } from "../platform/log.ts";
import type { HeldJob, JobEnd, JobRepository, JobRow } from "../store/index.ts";
import { type JobHandler, type Kind, kindOf } from "./handlers.ts";
import { ownerIsGone, ownerName } from "./owner.ts";
import { CANCELLED, doneWith, failedWith, hasEnded, shortMessage, toJob } from "./render.ts";
import { Waiting } from "./waiting.ts";

const BEAT_MS = 2_000;
/** A database write for every step of fast work would cost more than the work. */
const PROGRESS_MS = 500;
/** How long cancelling waits for the work to end; it is cancelled all the same. */
const CANCEL_MS = 5_000;
const KEPT_JOBS = 1_000;
const KEPT_MS = 30 * 86_400_000;
const DEFAULT_LIMIT = 4;

interface Running {
  row: JobRow;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

/** Runs jobs in this process and keeps them in the store, so that a restart (or another server) goes on with them. */
export class LocalJobs implements JobService {
  readonly #store: JobRepository;
  readonly #owner = ownerName();
  readonly #limit: number;
  readonly #kinds = new Map<string, Kind>();
  /** Jobs to begin, with the owner they have in the store. */
  readonly #queue = new Map<string, { readonly kind: string; readonly from: string | null }>();
  readonly #running = new Map<string, Running>();
  /** Ends that the store would not take yet. */
  readonly #unsaved = new Map<string, JobEnd>();
  readonly #waiting = new Waiting();
  #timer: NodeJS.Timeout | undefined;
  #adopts = false;
  #closed = false;

  /** `concurrency` is how many jobs of a kind run at once unless its handler says otherwise. */
  constructor(store: JobRepository, options: { concurrency?: number } = {}) {
    this.#store = store;
    this.#limit = options.concurrency ?? DEFAULT_LIMIT;
  }

  register<T>(kind: string, handler: JobHandler<T>): void {
    this.#kinds.set(kind, kindOf(handler));
  }

  /** Goes on with jobs that ended servers left behind, now and from now on. Called when the handlers are registered. */
  resume(): void {
    this.#adopts = true;
    this.#store.prune(KEPT_JOBS, new Date(Date.now() - KEPT_MS).toISOString());
    this.#adopt();
    this.#startBeating();
  }

  async start(kind: string, args: unknown, options: { idempotency_key?: string } = {}): Promise<Job> {
    if (this.#closed) throw closing();
    const known = this.#kinds.get(kind);
    if (known === undefined) {
      throw new KernelEvolveError("invalid_argument", `kind: there is no job ${JSON.stringify(kind)}`, {
        fix: `use one of ${[...this.#kinds.keys()].join(", ")}`,
      });
    }
    known.prepare(args);
    const id = `job_${randomUUID()}`;
    const row = this.#store.create(
      { id, kind, args: canonicalJson(args ?? null), key: options.idempotency_key, owner: this.#owner },
      Date.now(),
    );
    // Whoever joins a job that nobody runs any more runs it.
    if (row.id === id || this.#isOrphan(row)) this.#queue.set(row.id, { kind, from: row.owner });
    this.#startBeating();
    queueMicrotask(() => this.#pump());
    return toJob(row);
  }

  async get(id: string): Promise<Job> {
    return this.#look(id);
  }

  async list(filter: { state?: Job["state"] } = {}): Promise<Job[]> {
    return this.#store.list(filter.state).map(toJob);
  }

  async wait(id: string, seconds: number, context: WorkContext): Promise<Job> {
    if (!Number.isFinite(seconds) || seconds < 0) {
      throw new KernelEvolveError("invalid_argument", `seconds: ${seconds} is not a time from 0`);
    }
    const job = this.#look(id);
    if (hasEnded(job.state)) return job;
    if (this.#closed) throw closing();
    return this.#waiting.wait(
      id,
      seconds,
      context,
      () => this.#look(id),
      () => !this.#running.has(id),
    );
  }

  /** Stored first: a job that was cancelled does not come back, whatever happens to this process. */
  async cancel(id: string): Promise<Job> {
    if (hasEnded(this.#look(id).state)) return this.#look(id);
    this.#store.finish(id, undefined, CANCELLED, Date.now());
    this.#queue.delete(id);
    const running = this.#running.get(id);
    if (running === undefined) this.#tell(id);
    else {
      this.#stop(id, running, "the job was cancelled");
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, CANCEL_MS);
      });
      await Promise.race([running.ended, late]);
      clearTimeout(timer);
    }
    return this.#look(id);
  }

  /**
   * Ends waits, stops running jobs and gives all that has not ended back to the queue, for the next server. Resolves when
   * the work has ended, with its children. Idempotent.
   */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      clearInterval(this.#timer);
      this.#queue.clear();
      this.#waiting.stopAll(closing());
      for (const { abort } of this.#running.values()) abort.abort(closing());
    }
    await Promise.all([...this.#running.values()].map((running) => running.ended));
    this.#saveEnds();
    this.#store.release(this.#owner);
  }

  #look(id: string): Job {
    const row = this.#running.get(id)?.row ?? this.#store.get(id);
    if (row !== undefined) return toJob(row);
    throw new KernelEvolveError("not_found", `job ${JSON.stringify(id.slice(0, 80))} is unknown`, {
      fix: "ended jobs are forgotten after a while; start the work again",
    });
  }

  /** Aborts work whose job is no longer this runner's; from now on the job is what the store says. */
  #stop(id: string, running: Running, why: string): void {
    running.row = this.#store.get(id) ?? running.row;
    running.abort.abort(new KernelEvolveError("cancelled", why));
    this.#tell(id);
  }

  #tell(id: string): void {
    if (this.#waiting.has(id)) this.#waiting.tell(this.#look(id));
  }

  #isOrphan(row: HeldJob): boolean {
    if (row.owner === this.#owner || hasEnded(row.state)) return false;
    return row.owner === null || ownerIsGone(row.owner, row.heartbeat_ms, Date.now());
  }

  /** Queues what nobody runs. */
  #adopt(): void {
    for (const row of this.#store.live()) {
      if (this.#kinds.has(row.kind) && !this.#queue.has(row.id) && this.#isOrphan(row))
        this.#queue.set(row.id, { kind: row.kind, from: row.owner });
    }
    this.#pump();
  }

  #startBeating(): void {
    this.#timer ??= setInterval(() => this.#beat(), BEAT_MS).unref();
  }

  /** Says that this runner lives, notices what others did to its jobs, and takes over from those that are gone. */
  #beat(): void {
    try {
      this.#saveEnds();
      if (this.#running.size > 0 || this.#queue.size > 0) {
        const mine = new Set(this.#store.beat(this.#owner, Date.now()));
        for (const [id, running] of this.#running) {
          if (!mine.has(id)) this.#stop(id, running, "the job was cancelled elsewhere");
        }
      }
      if (this.#adopts) this.#adopt();
      else this.#pump();
    } catch (error) {
      // A store that is busy or full now may not be at the next beat.
      log.warn({ error: errorMessage(error) }, "jobs: heartbeat failed");
    }
  }

  #pump(): void {
    if (this.#closed) return;
    const busy = new Map<string, number>();
    for (const { row } of this.#running.values()) busy.set(row.kind, (busy.get(row.kind) ?? 0) + 1);
    for (const [id, { kind: name, from }] of this.#queue) {
      const kind = this.#kinds.get(name);
      const count = busy.get(name) ?? 0;
      if (kind === undefined || count >= (kind.limit ?? this.#limit) || this.#running.has(id)) continue;
      try {
        const taken = this.#store.take(id, from, this.#owner, Date.now());
        const row = taken ? this.#store.get(id) : undefined;
        this.#queue.delete(id);
        if (row === undefined) continue;
        busy.set(name, count + 1);
        this.#begin(row, kind);
      } catch (error) {
        log.warn({ job: id, error: errorMessage(error) }, "jobs: could not begin a job; tried again soon");
        return;
      }
    }
  }

  #begin(row: JobRow, kind: Kind): void {
    const abort = new AbortController();
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    this.#running.set(row.id, { row, abort, ended });
    this.#tell(row.id);
    void this.#execute(row, kind, abort.signal).then((end) => {
      this.#running.delete(row.id);
      if (end !== undefined) {
        this.#unsaved.set(row.id, end);
        this.#saveEnds();
      }
      resolve();
      this.#pump();
    });
  }

  /** Runs the work; answers how it ended, undefined when it is to be gone on with later. Never rejects. */
  async #execute(row: JobRow, kind: Kind, signal: AbortSignal): Promise<JobEnd | undefined> {
    const progress = this.#progressOf(row.id);
    try {
      const work = kind.prepare(JSON.parse(row.args));
      return doneWith(await work({ signal, report: progress.report }));
    } catch (error) {
      if (this.#closed) return undefined;
      if (!(error instanceof KernelEvolveError) && !signal.aborted)
        log.error({ err: error, job: row.id, kind: row.kind }, "job failed");
      return failedWith(error);
    } finally {
      progress.stop();
    }
  }

  /** Waiters hear of every step; the store of one in half a second, and of the last. */
  #progressOf(id: string): { report: (update: ProgressUpdate) => void; stop: () => void } {
    let timer: NodeJS.Timeout | undefined;
    const save = (): void => {
      timer = undefined;
      const running = this.#running.get(id);
      if (running === undefined) return;
      try {
        this.#store.progress(id, this.#owner, running.row);
      } catch (error) {
        log.warn({ job: id, error: errorMessage(error) }, "jobs: progress was not stored");
      }
    };
    const report = (update: ProgressUpdate): void => {
      const running = this.#running.get(id);
      if (running === undefined || this.#closed || running.abort.signal.aborted) return;
      const { row } = running;
      const total = update.total ?? Number.NaN;
      running.row = {
        ...row,
        progress: Number.isFinite(update.progress) ? Math.max(row.progress, update.progress) : row.progress,
        total: Number.isFinite(total) ? total : null,
        message: shortMessage(update.message),
        updated_at: new Date().toISOString(),
      };
      timer ??= setTimeout(save, PROGRESS_MS).unref();
      this.#waiting.tell(toJob(running.row));
    };
    const stop = (): void => {
      if (timer === undefined) return;
      clearTimeout(timer);
      save();
    };
    return { report, stop };
  }

  /** Stores how jobs ended. What fails is tried again at the next heartbeat; until then the job counts as running. */
  #saveEnds(): void {
    for (const [id, end] of this.#unsaved) {
      try {
        this.#store.finish(id, this.#owner, end, Date.now());
        this.#unsaved.delete(id);
        if (!this.#closed) this.#tell(id);
      } catch (error) {
        log.error({ job: id, error: errorMessage(error) }, "jobs: the end of a job could not be stored yet");
      }
    }
  }
}

function closing(): KernelEvolveError {
  return new KernelEvolveError("cancelled", "the server is shutting down; the job goes on with the next one");
}
