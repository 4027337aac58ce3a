import { errorMessage, type Job, KernelEvolveError, type WorkContext } from "../domain/index.ts";
import { log } from "../platform/log.ts";
import { hasEnded } from "./render.ts";

/** How often a job that another process runs is looked at. */
const POLL_MS = 500;
/** The longest delay that a timer can have. */
const LONGEST_MS = 2 ** 31 - 1;

interface Waiter {
  /** Sees the job as it is now. */
  readonly see: (job: Job) => void;
  readonly stop: (error: KernelEvolveError) => void;
}

/** Those who wait for jobs: told of progress and end, released on time, by their own signal, or when the server closes. */
export class Waiting {
  readonly #waiters = new Map<string, Set<Waiter>>();

  /** Tells those who wait for this job. What a waiter does with it is no concern of the job's. */
  tell(job: Job): void {
    for (const waiter of this.#waiters.get(job.id) ?? []) {
      try {
        waiter.see(job);
      } catch (error) {
        log.warn({ job: job.id, error: errorMessage(error) }, "progress could not be reported");
      }
    }
  }

  /** Whether anyone waits for the job. */
  has(id: string): boolean {
    return this.#waiters.has(id);
  }

  /** Releases everyone. (A waiter takes itself out of the set it is iterated in, which sets allow.) */
  stopAll(error: KernelEvolveError): void {
    for (const waiters of this.#waiters.values()) for (const waiter of waiters) waiter.stop(error);
  }

  /** Resolves with the job when it ends or after `seconds`. `look` answers the job as stored; `foreign` whether another process runs it. */
  wait(
    id: string,
    seconds: number,
    context: WorkContext,
    look: () => Job,
    foreign: () => boolean,
  ): Promise<Job> {
    return new Promise<Job>((resolve, reject) => {
      const end = (act: () => void): void => {
        clearTimeout(timer);
        clearInterval(poll);
        context.signal.removeEventListener("abort", aborted);
        const waiters = this.#waiters.get(id);
        waiters?.delete(waiter);
        if (waiters?.size === 0) this.#waiters.delete(id);
        act();
      };
      const waiter: Waiter = {
        see: (job) => {
          if (hasEnded(job.state)) return end(() => resolve(job));
          context.report({
            progress: job.progress,
            ...(job.total === undefined ? {} : { total: job.total }),
            message: job.message,
          });
        },
        stop: (error) => end(() => reject(error)),
      };
      const aborted = (): void =>
        waiter.stop(new KernelEvolveError("cancelled", "the wait was cancelled; the job goes on"));
      const attempt = (act: () => void): void => {
        try {
          act();
        } catch (error) {
          end(() => reject(error));
        }
      };
      const timer = setTimeout(
        () => attempt(() => end(() => resolve(look()))),
        Math.min(seconds * 1000, LONGEST_MS),
      );
      let last = "";
      const poll = setInterval(() => {
        if (!foreign()) return;
        attempt(() => {
          const job = look();
          const now = `${job.state}\0${job.updated_at}\0${job.progress}`;
          if (now !== last) waiter.see(job);
          last = now;
        });
      }, POLL_MS);
      const waiters = this.#waiters.get(id) ?? new Set();
      this.#waiters.set(id, waiters.add(waiter));
      if (context.signal.aborted) return aborted();
      context.signal.addEventListener("abort", aborted, { once: true });
      attempt(() => waiter.see(look()));
    });
  }
}
