import { z } from "zod";
import { shared } from "../arguments.ts";
import { defineTool } from "../define.ts";

export const jobCancel = defineTool({
  name: "job_cancel",
  title: "Cancel a job",
  description:
    "Ends a job and the programs it runs. What a run has recorded stays, and the run can be gone on with; a job that has ended stays as it ended. To end a run for good: evolve_export with finish.",
  input: z.strictObject({ job_id: shared.job }),
  output: z.object({ job_id: z.string(), kind: z.string(), state: z.string() }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  handle: async ({ job_id }, context) => {
    const { jobs } = await context.services();
    const job = await jobs.cancel(job_id);
    return {
      structured: { job_id: job.id, kind: job.kind, state: job.state },
      text: `job ${job.id} (${job.kind}) is ${job.state}`,
      next:
        job.kind === "evolve"
          ? "evolve_status"
          : "call again the tool that started it, when it is wanted after all",
    };
  },
});
