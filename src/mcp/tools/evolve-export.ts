import { z } from "zod";
import { defineTool, shared } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { outcomeOf, outcomeSchema } from "../outcome.ts";
import { allowedPath } from "../paths.ts";

export const evolveExport = defineTool({
  name: "evolve_export",
  title: "Take the result",
  description:
    "Writes what a run found into a folder: the best kernel, its evaluation record as proof, and the report (HTML with the search tree, the fitness curve and the roofline; Markdown too). The folder must lie in the working directory, the data folder, or a folder of KERNELEVOLVE_ALLOWED_PATHS.",
  input: z.strictObject({
    run: shared.run,
    directory: z
      .string()
      .min(1)
      .max(1000)
      .optional()
      .describe("Folder to write to; default is exports/<run> in the data folder"),
    wait_seconds: shared.wait_seconds,
  }),
  output: outcomeSchema,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ run, directory, wait_seconds }, context) => {
    const services = await context.services();
    await services.evolution.get(run);
    const folder = allowedPath(directory, run);
    const job = await startAndWait("export", { run, directory: folder }, wait_seconds, context);
    return await outcomeOf(job, services, "open report.html");
  },
});
