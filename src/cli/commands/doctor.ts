import type { Command } from "commander";
import type { DoctorReport, TargetStatus } from "../../domain/index.ts";
import { dataHomePath } from "../../platform/paths.ts";
import { withServices } from "../context.ts";
import { EXIT, print, printJson } from "../output.ts";

function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${Number((bytes / 1024 ** step).toFixed(1))} ${units[step]}`;
}

function machineText({ node, system, machine, folders }: DoctorReport): string {
  const memory = Object.entries(machine.memory).map(([level, bytes]) => `${level} ${bytesText(bytes)}`);
  const cores = machine.physical_cores === undefined ? "" : ` on ${machine.physical_cores} cores`;
  return [
    `machine: ${machine.model}, ${machine.cores} processors${cores}; ${memory.join(", ")}`,
    `system: ${system}, node ${node}${machine.hypervisor === null ? "" : `; a virtual machine (${machine.hypervisor})`}`,
    `data in ${dataHomePath()}`,
    ...folders.map((folder) => `targets in ${folder.path}: ${folder.targets}`),
  ].join("\n");
}

function targetText(target: TargetStatus): string {
  const stages = Object.entries(target.capabilities).map(([stage, ok]) => `${ok ? "✓" : "✗"} ${stage}`);
  return [
    `\n${target.usable ? "✓" : "✗"} ${target.id}: ${target.title}`,
    `  ${stages.join("  ")}  sandbox ${target.sandbox}`,
    ...target.checks.map((check) => {
      const mark = check.ok ? "✓" : check.optional ? "·" : "✗";
      const fix = check.ok || check.fix === undefined ? "" : `\n      install: ${check.fix}`;
      return `  ${mark} ${check.name}: ${check.detail}${fix}`;
    }),
  ].join("\n");
}

export function doctor(program: Command): void {
  program
    .command("doctor")
    .description("What works on this machine, what is missing, and the command that installs it")
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      `
Examples:
  kernelevolve doctor
  kernelevolve doctor --json | jq '.targets[] | select(.usable) | .id'

Exit codes: 0 at least one target is usable, 3 none is.`,
    )
    .action(async (options: { json?: boolean }) =>
      withServices(options.json === true, async ({ services }) => {
        const report = await services.targets.doctor();
        if (options.json === true) printJson(report);
        else {
          print(machineText(report));
          const usable = report.targets.filter((target) => target.usable);
          const others = report.targets.filter((target) => !target.usable);
          print([...usable, ...others].map(targetText).join("\n"));
          for (const fault of report.problems) {
            const fix = fault.fix === undefined ? "" : `\n  fix: ${fault.fix}`;
            print(`\n✗ not read: ${fault.folder}: ${fault.message}${fix}`);
          }
          print(`\nusable here: ${usable.map((target) => target.id).join(", ") || "nothing yet"}`);
        }
        process.exitCode = report.targets.some((target) => target.usable) ? EXIT.ok : EXIT.missing;
      }),
    );
}
