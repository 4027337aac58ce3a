import type { Command } from "commander";
import { withServices } from "../context.ts";
import { print, printJson } from "../output.ts";

export function targets(program: Command): void {
  program
    .command("targets")
    .argument("[id]", "one target: all about it, with this machine's measured peaks")
    .description("The targets there are, or all about one")
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      `
Examples:
  kernelevolve targets
  kernelevolve targets cpu-x86-64      its constraints, and peaks measured here`,
    )
    .action(async (id: string | undefined, options: { json?: boolean }) =>
      withServices(options.json === true, async ({ services, work, progress }) => {
        if (id === undefined) {
          const specs = await services.targets.list();
          if (options.json === true) printJson(specs);
          else
            for (const spec of specs)
              print(`${spec.id}  ${spec.title}  [${Object.keys(spec.abstractions).join(", ")}]`);
          return;
        }
        const spec = await services.targets.get(id);
        const status = await services.targets.status(id);
        const peaks =
          status.capabilities.benchmark && spec.peaks.source === "measured"
            ? await services.targets.peaks(id, work)
            : undefined;
        progress.end();
        if (options.json === true) {
          printJson({ spec, status, peaks: peaks ?? null });
          return;
        }
        print(`${spec.id}: ${spec.title}\n${spec.description}\ndevice: ${status.device}`);
        if (peaks !== undefined) {
          print(`peaks, measured ${peaks.measured_at} (one core, all ${peaks.cores} cores):`);
          for (const [name, value] of Object.entries(peaks.flops)) {
            print(
              `  ${name.padEnd(16)} ${(value / 1e9).toFixed(1).padStart(9)} ${((peaks.flops_all[name] ?? 0) / 1e9).toFixed(1).padStart(9)} GFLOP/s`,
            );
          }
          for (const [name, value] of Object.entries(peaks.bandwidth)) {
            print(
              `  ${name.padEnd(16)} ${(value / 1e9).toFixed(1).padStart(9)} ${((peaks.bandwidth_all[name] ?? 0) / 1e9).toFixed(1).padStart(9)} GB/s`,
            );
          }
        }
        print("constraints:");
        for (const constraint of spec.constraints) print(`  - ${constraint}`);
      }),
    );
}
