import { availableParallelism } from "node:os";
import { KernelEvolveError } from "../../domain/index.ts";

/** As many pieces of work at once as the machine has cores; the rest wait in order. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count = availableParallelism()) {
    this.#free = count;
  }

  async with<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      if (signal.aborted) throw new KernelEvolveError("cancelled", "cancelled while waiting for a free core");
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
