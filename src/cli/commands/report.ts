import { resolve } from "node:path";
import type { Command } from "commander";
import { overviewOf, overviewText } from "../../mcp/render.ts";
import { withServices } from "../context.ts";
import { print, printJson } from "../output.ts";

export function report(program: Command): void {
  program
    .command("report")
    .argument("<run>", "run id")
    .description("Write a run's best kernel, its proof and the report (HTML, Markdown)")
    .option("--out <dir>", "folder", "report")
    .option("--json", "one JSON document on stdout")
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

export function runs(program: Command): void {
  program
    .command("runs")
    .description("The runs of this data folder, newest first")
    .option("--json", "one JSON document on stdout")
    .action(async (options: { json?: boolean }) =>
      withServices(options.json === true, async ({ services }) => {
        const all = await services.evolution.list();
        if (options.json === true) printJson(all.map(overviewOf));
        else print(all.map(overviewText).join("\n\n") || "no runs yet: kernelevolve evolve --help");
      }),
    );
}
