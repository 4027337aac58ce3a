import { resolve } from "node:path";
import type { Command } from "commander";
import { overviewOf, overviewText } from "../../mcp/render.ts";
import { withServices } from "../context.ts";
import { folderFrom } from "../folders.ts";
import { print, printJson } from "../output.ts";

export function report(program: Command): void {
  program
    .command("report")
    .argument("<run>", "run id, from kernelevolve runs")
    .description("Write a run's best kernel, its proof and the report (HTML, Markdown)")
    .option("--out <dir>", "folder", folderFrom, "report")
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", "\nExample:\n  kernelevolve report run_… --out ./result\n")
    .action(async (run: string, options: { out: string; json?: boolean }) =>
      withServices(options.json === true, async ({ services, work, progress }) => {
        const overview = await services.evolution.get(run);
        const { files } = await services.evolution.export(run, resolve(options.out), work);
        progress.end();
        if (options.json === true) printJson({ overview: overviewOf(overview), files });
        else {
          print(overviewText(overview));
          for (const file of files) print(`${file.path}  ${file.what}`);
        }
      }),
    );
}
