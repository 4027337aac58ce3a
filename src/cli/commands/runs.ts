import type { Command } from "commander";
import { overviewOf, overviewText } from "../../mcp/render.ts";
import { withServices } from "../context.ts";
import { print, printJson } from "../output.ts";

export function runs(program: Command): void {
  program
    .command("runs")
    .description("The runs of this data folder, newest first")
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      `
Examples:
  kernelevolve runs
  KERNELEVOLVE_HOME=elsewhere/.kernelevolve kernelevolve runs --json`,
    )
    .action(async (options: { json?: boolean }) =>
      withServices(options.json === true, async ({ services }) => {
        const all = await services.evolution.list();
        if (options.json === true) printJson(all.map(overviewOf));
        else print(all.map(overviewText).join("\n\n") || "no runs yet: kernelevolve evolve --help");
      }),
    );
}
