import { z } from "zod";
import { shared } from "../arguments.ts";
import { defineTool, handleFields } from "../define.ts";
import { outcomeOf } from "../outcome.ts";

export const jobWait = defineTool({
  name: "job_wait",
  title: "Wait for a job",
  description:
    "Waits for a job that another tool answered, at most 45 s a call, and answers its result, in that tool's form, or how far it is. Stopping to wait does not stop the job. Jobs survive a restart of the server. Without a job_id: the jobs at work.",
  input: z.strictObject({ job_id: shared.job.optional(), wait_seconds: shared.wait_seconds }),
  // Listed by its own fields; what else an ended job answers has the form of the tool that started it.
  output: z.looseObject({
    ...handleFields,
    jobs: z.array(z.looseObject({ job_id: z.string(), kind: z.string() })).optional(),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ job_id, wait_seconds }, context) => {
    const services = await context.services();
    if (job_id === undefined) {
      const [running, queued] = await Promise.all([
        services.jobs.list({ state: "running" }),
        services.jobs.list({ state: "queued" }),
      ]);
      const jobs = [...running, ...queued].map((job) => ({
        job_id: job.id,
        kind: job.kind,
        state: job.state,
        message: job.message,
      }));
      return {
        structured: { jobs },
        text:
          jobs.map((job) => `${job.job_id} ${job.kind} ${job.state}: ${job.message}`).join("\n") ||
          "no job is at work",
        next: jobs.length === 0 ? "evolve_status" : "job_wait with one of them",
      };
    }
    return await outcomeOf(await services.jobs.wait(job_id, wait_seconds, context.work), services);
  },
});
