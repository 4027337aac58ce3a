import { z } from "zod";
import { defineTool } from "../define.ts";

export const jobCancel = defineTool({
  name: "job_cancel",
  title: "Cancel a job",
  description:
    "Ends a job and the programs it runs. What a run has recorded stays; an ended job stays as it ended. To end a run for good, cancel its job and let its budget stand.",
  input: z.strictObject({ job: z.string().min(1).max(80).describe("Job id") }),
  output: z.object({ job: z.string(), state: z.string(), next: z.string() }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  handle: async ({ job: id }, context) => {
    const { jobs } = await context.services();
    const job = await jobs.cancel(id);
    return {
      structured: { job: job.id, state: job.state, next: "evolve_status" },
      text: `job ${job.id} is ${job.state}`,
    };
  },
});
