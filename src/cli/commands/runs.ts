import type { Command } from "commander";
import { KernelEvolveError } from "../../domain/index.ts";
import { overviewOf, overviewText } from "../../mcp/render.ts";
import { withServices } from "../context.ts";
import { wholeFrom } from "../numbers.ts";
import { print, printJson } from "../output.ts";

export function runs(program: Command): void {
  program
    .command("runs")
    .argument("[run]", "one run")
    .description("The runs of this data folder, newest first, or one of them")
    .option("--as-of <step>", "as it stood when this step was recorded", wholeFrom(0))
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      `
Examples:
  kernelevolve runs
  kernelevolve runs run_… --as-of 20
  KERNELEVOLVE_HOME=elsewhere/.kernelevolve kernelevolve runs --json`,
    )
    .action(async (run: string | undefined, options: { asOf?: number; json?: boolean }) =>
      withServices(options.json === true, async ({ services }) => {
        if (run === undefined && options.asOf !== undefined)
          throw new KernelEvolveError("invalid_argument", "--as-of: needs a run", {
            fix: "kernelevolve runs lists them",
          });
        if (run !== undefined) {
          const past = options.asOf === undefined ? {} : { as_of: options.asOf };
          const overview = await services.evolution.get(run, past);
          if (options.json === true) printJson(overviewOf(overview));
          else print(overviewText(overview));
          return;
        }
        const all = await services.evolution.list();
        if (options.json === true) printJson(all.map(overviewOf));
        else print(all.map(overviewText).join("\n\n") || "no runs yet: kernelevolve evolve --help");
      }),
    );
}
