import type { z } from "zod";
import { ERROR_CODES, type ErrorCode, type Job, KernelEvolveError } from "../domain/index.ts";
import { canonicalJson, sha256 } from "../platform/hash.ts";
import type { ToolContext } from "./define.ts";

const codes = new Map<string, ErrorCode>(ERROR_CODES.map((code) => [code, code]));

/** What a finished job stored; throws what it failed with. */
export function jobResult<T>(job: Job, schema: z.ZodType<T>): T {
  if (job.state === "done") return schema.parse(job.result);
  const error = job.error;
  throw new KernelEvolveError(
    job.state === "cancelled" ? "cancelled" : (codes.get(error?.code ?? "") ?? "infrastructure"),
    error === undefined ? `job ${job.id} ${job.state}` : `${error.message} (job ${job.id})`,
    error?.fix === undefined ? {} : { fix: error.fix },
  );
}

export interface JobHandle {
  job_id: string;
  state: string;
  progress?: number;
  message: string;
}

/** How much is done, 0 to 1, where the job knows how much there is. */
function share(job: Job): number | undefined {
  if (job.total === undefined) return job.progress > 0 && job.progress <= 1 ? job.progress : undefined;
  return job.total > 0 ? Math.min(1, job.progress / job.total) : undefined;
}

export function handleOf(job: Job): JobHandle {
  const done = share(job);
  return {
    job_id: job.id,
    state: job.state,
    ...(done === undefined ? {} : { progress: Number(done.toFixed(3)) }),
    message: job.message.slice(0, 500),
  };
}

export function isEnded(job: Job): boolean {
  return job.state !== "queued" && job.state !== "running";
}

/**
 * Starts (or joins) a job and waits for it so long. Answers the finished job, or one still running.
 * The same work asked for twice at once is one job. An aborted wait leaves the job at work.
 */
export async function startAndWait(
  kind: string,
  args: unknown,
  waitSeconds: number,
  context: ToolContext,
): Promise<Job> {
  const { jobs } = await context.services();
  const job = await jobs.start(kind, args, { idempotency_key: sha256(`${kind}\0${canonicalJson(args)}`) });
  return await jobs.wait(job.id, waitSeconds, context.work);
}

/** What to say of a job that goes on. */
export function runningText(job: Job): string {
  const done = share(job);
  const percent = done === undefined ? "" : ` (${Math.round(100 * done)} %)`;
  return `job ${job.id} is ${job.state}${percent}: ${job.message.slice(0, 500)}`;
}
