import type { ProgressUpdate } from "../domain/index.ts";

const EVERY_MS = 500;
const SIGN_OF_LIFE_MS = 10_000;

export interface ProgressParams {
  readonly progress: number;
  readonly total?: number;
  readonly message: string;
}

/**
 * Progress of one request: every change, at most twice a second (the newest one wins), and a sign of life each ten
 * seconds. The value grows with every notification, as the protocol wants, also when only the message is new.
 */
export class ProgressReporter {
  readonly #send: (params: ProgressParams) => void;
  readonly #life: NodeJS.Timeout;
  #later: NodeJS.Timeout | undefined;
  #last: ProgressUpdate;
  #sentAt = Number.NEGATIVE_INFINITY;
  #value = 0;
  #ended = false;

  constructor(title: string, send: (params: ProgressParams) => void) {
    this.#send = send;
    this.#last = { progress: 0, message: title };
    this.#life = setInterval(() => this.#flush(), SIGN_OF_LIFE_MS).unref();
  }

  report(update: ProgressUpdate): void {
    if (this.#ended) return;
    const changed = update.message !== this.#last.message || update.progress !== this.#last.progress;
    this.#last = update;
    if (!changed || this.#later !== undefined) return;
    const wait = this.#sentAt + EVERY_MS - performance.now();
    if (wait <= 0) this.#flush();
    else this.#later = setTimeout(() => this.#flush(), wait).unref();
  }

  #flush(): void {
    clearTimeout(this.#later);
    this.#later = undefined;
    this.#sentAt = performance.now();
    const { progress, total, message } = this.#last;
    this.#value = Math.max(this.#value + 1e-6, progress);
    this.#life.refresh();
    this.#send({
      progress: this.#value,
      message,
      ...(total === undefined ? {} : { total: Math.max(total, this.#value) }),
    });
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#later);
    clearInterval(this.#life);
  }
}
