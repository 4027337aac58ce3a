import type { z } from "zod";
import { ERROR_CODES, type Job, KernelEvolveError } from "../domain/index.ts";
import { canonicalJson, sha256 } from "../platform/hash.ts";
import type { JobHandle, ToolContext } from "./define.ts";

const codes = new Set<string>(ERROR_CODES);
function isCode(code: string): code is KernelEvolveError["code"] {
  return codes.has(code);
}

/** What a finished job stored; throws what it failed with. */
export function jobResult<T>(job: Job, schema: z.ZodType<T>): T {
  if (job.state === "done") return schema.parse(job.result);
  const error = job.error;
  const code = error !== undefined && isCode(error.code) ? error.code : "infrastructure";
  throw new KernelEvolveError(
    job.state === "cancelled" ? "cancelled" : code,
    error?.message ?? `job ${job.id} ${job.state}`,
    error?.fix === undefined ? {} : { fix: error.fix },
  );
}

export function handleOf(job: Job): JobHandle {
  return {
    job: job.id,
    state: job.state,
    progress: job.progress,
    ...(job.total === undefined ? {} : { total: job.total }),
    message: job.message,
  };
}

export function isEnded(job: Job): boolean {
  return job.state !== "queued" && job.state !== "running";
}

/**
 * Starts (or joins) a job and waits for it so long. Answers the finished job, or one still running.
 * The same work asked for twice at once is one job.
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
  const share =
    job.total === undefined || job.total === 0 ? "" : ` (${Math.round((100 * job.progress) / job.total)} %)`;
  return `still ${job.state}${share}: ${job.message}. Next: job_wait with job ${job.id}`;
}
