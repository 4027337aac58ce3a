import type { Command } from "commander";
import { KernelEvolveError } from "../../domain/index.ts";
import { nearest } from "../../platform/nearest.ts";
import { withServices } from "../context.ts";
import { print, printJson } from "../output.ts";

export function problems(program: Command): void {
  program
    .command("problems")
    .argument("[name]", "one problem: its prototype, workloads and reference")
    .description("The problems there are, or all about one")
    .option("--abstraction <name>", "language of the prototype; default: the target's first")
    .option("--target <id>", "target whose seed kernels are listed", "cpu-x86-64")
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      `
Examples:
  kernelevolve problems
  kernelevolve problems matmul --abstraction cpp`,
    )
    .action(
      async (name: string | undefined, options: { json?: boolean; abstraction?: string; target: string }) =>
        withServices(options.json === true, async ({ services }) => {
          if (name === undefined) {
            const all = await services.problems.list();
            if (options.json === true) printJson(all);
            else for (const one of all) print(`${one.name.padEnd(34)} ${one.description.slice(0, 100)}`);
            return;
          }
          const problem = await services.problems.get(name);
          const spec = await services.targets.get(options.target);
          const known = Object.keys(spec.abstractions);
          const abstraction = options.abstraction ?? known[0] ?? "c";
          if (!known.includes(abstraction)) {
            const close = nearest(abstraction, known);
            throw new KernelEvolveError(
              "invalid_argument",
              `--abstraction ${abstraction} is unknown to ${options.target}`,
              { fix: close.length > 0 ? `did you mean ${close.join(" or ")}?` : `use ${known.join(", ")}` },
            );
          }
          const seeds = await services.problems.seeds(problem, options.target, abstraction);
          if (options.json === true) {
            printJson({
              problem,
              prototype: services.problems.prototype(problem, abstraction, spec.run?.harness),
              seeds: seeds.map(({ name: seed, note }) => ({ name: seed, note })),
            });
            return;
          }
          print(
            `${problem.id}\n${problem.definition.description ?? ""}\n\n${services.problems.prototype(problem, abstraction, spec.run?.harness)}\n\nworkloads:`,
          );
          for (const workload of problem.workloads) {
            print(
              `  ${workload.uuid.padEnd(28)} ${workload.role.padEnd(6)} ${Object.entries(workload.axes)
                .map(([axis, value]) => `${axis}=${value}`)
                .join(" ")}`,
            );
          }
          print(
            `\nreference:\n${problem.definition.reference_c ?? problem.definition.reference ?? ""}\nseed kernels: ${seeds.map((seed) => seed.name).join(", ") || "none"}`,
          );
        }),
    );
}
