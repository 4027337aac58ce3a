import { z } from "zod";
import { defineTool, shared } from "../define.ts";
import { outcomeOf, outcomeSchema } from "../outcome.ts";

export const jobWait = defineTool({
  name: "job_wait",
  title: "Wait for a job",
  description:
    "Waits for a job that another tool answered, at most 45 s a call, and answers its result or how far it is. Stopping to wait does not stop the job. Jobs survive a restart of the server.",
  input: z.strictObject({
    job: z.string().min(1).max(80).describe("Job id"),
    wait_seconds: shared.wait_seconds,
  }),
  output: outcomeSchema,
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ job: id, wait_seconds }, context) => {
    const services = await context.services();
    const job = await services.jobs.wait(id, wait_seconds, context.work);
    return await outcomeOf(job, services, "as the tool that started it says");
  },
});
