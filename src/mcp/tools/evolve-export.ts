import { z } from "zod";
import { shared } from "../arguments.ts";
import { defineTool } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { exportOutput, outcomeOf } from "../outcome.ts";
import { exportFolder } from "../paths.ts";

export const evolveExport = defineTool({
  name: "evolve_export",
  title: "Take the result",
  description:
    "Writes what a run found into a folder: the best kernel, its evaluation record as proof, and the report (HTML with the search tree, the fitness curve and the roofline; Markdown too). The run goes on unless finish is true. The folder must lie in the working directory, the data folder, or a folder of KERNELEVOLVE_ALLOWED_PATHS.",
  input: z.strictObject({
    run: shared.run,
    directory: z
      .string()
      .min(1)
      .max(1000)
      .optional()
      .describe("Folder to write to; default is exports/<run> in the data folder"),
    finish: z.boolean().default(false).describe("End the run for good first; its nodes stay"),
    wait_seconds: shared.wait_seconds,
  }),
  output: exportOutput,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ run, directory, finish, wait_seconds }, context) => {
    const folder = directory === undefined ? undefined : exportFolder(directory);
    const services = await context.services();
    await services.evolution.get(run);
    if (finish) await services.evolution.stop(run, "ended by hand");
    const job = await startAndWait(
      "export",
      { run, ...(folder === undefined ? {} : { directory: folder }) },
      wait_seconds,
      context,
    );
    return await outcomeOf(job, services);
  },
});
