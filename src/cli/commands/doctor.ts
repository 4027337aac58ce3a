import type { Command } from "commander";
import { dataHome } from "../../platform/paths.ts";
import { withServices } from "../context.ts";
import { EXIT, print, printJson } from "../output.ts";

export function doctor(program: Command): void {
  program
    .command("doctor")
    .description("What works on this machine, what is missing, and the command that installs it")
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", "\nExit codes: 0 at least one target is usable, 3 none is.\n")
    .action(async (options: { json?: boolean }) =>
      withServices(options.json === true, async ({ services }) => {
        const specs = await services.targets.list();
        const targets = await Promise.all(
          specs.map((spec) => services.targets.status(spec.id, { fresh: true })),
        );
        const usable = targets.some((target) => target.usable);
        if (options.json === true) printJson({ node: process.version, home: dataHome(), targets });
        else {
          print(`node ${process.version}; data in ${dataHome()}`);
          for (const target of targets) {
            const stages = Object.entries(target.capabilities).map(
              ([stage, ok]) => `${ok ? "✓" : "✗"} ${stage}`,
            );
            print(
              `\n${target.usable ? "✓" : "✗"} ${target.id}: ${target.title}\n  ${stages.join("  ")}  sandbox ${target.sandbox}`,
            );
            for (const check of target.checks) {
              const mark = check.ok ? "✓" : check.optional ? "·" : "✗";
              print(
                `  ${mark} ${check.name}: ${check.detail}${check.fix === undefined ? "" : `\n      install: ${check.fix}`}`,
              );
            }
          }
        }
        process.exitCode = usable ? EXIT.ok : EXIT.missing;
      }),
    );
}
