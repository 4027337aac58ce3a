import { z } from "zod";
import { shared } from "../arguments.ts";
import { defineTool } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { outcomeOf, runOutput } from "../outcome.ts";

export const evolveRun = defineTool({
  name: "evolve_run",
  title: "Let the server drive a run",
  description:
    "Drives a run until its budget is spent. The driver autotune needs no model: it evaluates the seed kernels and tunes what kernels declare in their headers, also kernels that an agent submitted. The driver model asks the language model that the server's environment names (KERNELEVOLVE_MODEL, OPENAI_API_KEY, OPENAI_BASE_URL). Answers a job_id when it takes longer than the wait; progress is reported. Calling it again joins the same drive; after a restart it goes on.",
  input: z.strictObject({
    run: shared.run,
    driver: z.enum(["autotune", "model"]).default("autotune").describe("Who makes the children"),
    wait_seconds: shared.wait_seconds,
  }),
  output: runOutput,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ run, driver, wait_seconds }, context) => {
    const services = await context.services();
    await services.evolution.get(run);
    const job = await startAndWait("evolve", { run, driver }, wait_seconds, context);
    return await outcomeOf(job, services);
  },
});
