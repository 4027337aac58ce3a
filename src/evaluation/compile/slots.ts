import { availableParallelism } from "node:os";
import { KernelEvolveError } from "../../domain/index.ts";

/** As many pieces of work at once as the machine has cores; the rest wait in order. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count = availableParallelism()) {
    this.#free = count;
  }

  /** Runs `work` when a slot is free. @throws cancelled as soon as the signal fires while it waits. */
  async with<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#take(signal);
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  async #take(signal: AbortSignal): Promise<void> {
    const cancelled = (): KernelEvolveError =>
      new KernelEvolveError("cancelled", "cancelled while waiting for a free core");
    if (signal.aborted) throw cancelled();
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const turn = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1);
        reject(cancelled());
      };
      this.#waiting.push(turn);
      signal.addEventListener("abort", leave, { once: true });
    });
  }
}
