import { z } from "zod";
import { errorMessage, type Job, KernelEvolveError } from "../domain/index.ts";
import type { JobEnd, JobRow } from "../store/index.ts";

const MESSAGE = 500;
const ERROR_MESSAGE = 4_000;
const errorSchema = z.object({ code: z.string(), message: z.string(), fix: z.string().optional() });

/** A row as the job that callers see. */
export function toJob(row: JobRow): Job {
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

export function hasEnded(state: Job["state"]): boolean {
  return state !== "queued" && state !== "running";
}

export function shortMessage(text: string): string {
  return text.slice(0, MESSAGE);
}

export const CANCELLED: JobEnd = {
  state: "cancelled",
  result: null,
  error: JSON.stringify({ code: "cancelled", message: "the job was cancelled" }),
  message: "cancelled",
};

export function doneWith(result: unknown): JobEnd {
  return { state: "done", result: JSON.stringify(result ?? null), error: null, message: "done" };
}

export function failedWith(error: unknown): JobEnd {
  const known = error instanceof KernelEvolveError;
  const told = {
    code: known ? error.code : "infrastructure",
    message: errorMessage(error).slice(0, ERROR_MESSAGE),
    ...(known && error.fix !== undefined ? { fix: error.fix } : {}),
  };
  return { state: "failed", result: null, error: JSON.stringify(told), message: shortMessage(told.message) };
}
