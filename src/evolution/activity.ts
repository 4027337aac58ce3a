import { errorMessage } from "../domain/errors.ts";
import { log } from "../platform/log.ts";

/** Where the active seconds of a run are kept. */
export interface ActivityLog {
  /** Counts the time since the run's last beat when it is at most `gapMs`, and makes `nowMs` the last beat. */
  beat(run: string, nowMs: number, gapMs: number): void;
}

/** Seconds between heartbeats while a run has work under way. */
const BEAT = 1;
/** Longer than this between two beats, and the time between is not counted: the server was down, or nobody worked. */
const GAP = 5;
/** Questions that come closer together than this, in milliseconds, are answered from one beat: each is a write. */
const FRESH_MS = 100;

/**
 * Measures what a run's budget of seconds means: wall time in which a server knew of work under way on it, that is a claim
 * given out and not yet answered, or an evaluation. While there is such work every run gets a heartbeat a second; time
 * between two beats counts unless they are more than five seconds apart. So the time of a crash or a night between two
 * sessions is not spent, and agents working at once spend it once.
 */
export class ActivityClock {
  readonly #log: ActivityLog;
  readonly #busy: (run: string) => boolean;
  readonly #watched = new Set<string>();
  readonly #beaten = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  /** `busy` is asked at every heartbeat whether a run still has work under way. */
  constructor(log: ActivityLog, busy: (run: string) => boolean) {
    this.#log = log;
    this.#busy = busy;
  }

  /** A sign of life: counts up to now, and goes on counting while the run is busy. */
  touch(run: string): void {
    // A run that was idle begins to count now, whatever was counted a moment ago.
    if (this.#watched.has(run)) this.#beat(run);
    else this.#log.beat(run, Date.now(), GAP * 1000);
    this.#watched.add(run);
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#beatAll(), BEAT * 1000);
    // The heartbeat alone must not keep a process alive.
    this.#timer.unref();
  }

  /** Brings the count of a watched run up to date without making an idle one active. */
  settle(run: string): void {
    if (this.#watched.has(run)) this.#beat(run);
  }

  #beat(run: string): void {
    const now = Date.now();
    const since = now - (this.#beaten.get(run) ?? 0);
    // Below zero: the clock was set back.
    if (since >= 0 && since < FRESH_MS) return;
    this.#log.beat(run, now, GAP * 1000);
    this.#beaten.set(run, now);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#watched.clear();
    this.#beaten.clear();
  }

  #beatAll(): void {
    for (const run of this.#watched) {
      try {
        this.#log.beat(run, Date.now(), GAP * 1000);
        if (!this.#busy(run)) this.#watched.delete(run);
      } catch (error) {
        // A store that cannot be written now must not end the server; the next call on the run will say so.
        this.#watched.delete(run);
        log.warn({ run, error: errorMessage(error) }, "the time spent on a run could not be counted");
      }
    }
    if (this.#watched.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }
}
