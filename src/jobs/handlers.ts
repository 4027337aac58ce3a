import type { z } from "zod";
import { KernelEvolveError, type WorkContext } from "../domain/index.ts";

/** What runs a kind of job. Handlers are idempotent: after a crash the job is started again with the same arguments. */
export interface JobHandler<T> {
  /** What the arguments must be; checked before a job is made of them, and again when it starts. */
  readonly args: z.ZodType<T>;
  /** Jobs of this kind at once; default the runner's. Kinds do not wait for each other. */
  readonly limit?: number;
  /** Must end soon after the signal aborts, with its children. */
  run(args: T, context: WorkContext): Promise<unknown>;
}

/** A handler with its arguments' type closed over. */
export interface Kind {
  readonly limit: number | undefined;
  /** The work that `args` ask for. @throws invalid_argument naming the field */
  prepare(args: unknown): (context: WorkContext) => Promise<unknown>;
}

export function kindOf<T>(handler: JobHandler<T>): Kind {
  return {
    limit: handler.limit,
    prepare: (args) => {
      const parsed = handler.args.safeParse(args);
      if (parsed.success) return (context) => handler.run(parsed.data, context);
      const issue = parsed.error.issues[0];
      throw new KernelEvolveError(
        "invalid_argument",
        `${issue?.path.join(".") || "arguments"}: ${issue?.message ?? "malformed"}`,
      );
    },
  };
}
