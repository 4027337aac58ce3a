import type { Command } from "commander";
import { withServices } from "../context.ts";
import { print, printJson } from "../output.ts";

interface Options {
  force?: boolean;
  dev?: boolean;
  python?: string;
  indexUrl?: string;
  json?: boolean;
}

export function setup(program: Command): void {
  const command = program
    .command("setup")
    .description("Install what a family of targets needs")
    .addHelpText("after", "\nExample:\n  kernelevolve setup torch       for torch-cpu and GPU targets");
  command
    .command("torch")
    .description("A private Python environment with PyTorch and Triton, for torch-cpu and GPU targets")
    .option("--force", "make it anew although it is there")
    .option("--dev", "with what the Python tests need: pytest, ruff, mypy")
    .option("--python <path>", "the Python to make it with; default: python3")
    .option(
      "--index-url <url>",
      "package index, as pip's option; PyTorch's index for processors alone is far smaller",
    )
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      `
It lies in the cache folder (KERNELEVOLVE_CACHE, else ~/.cache/kernelevolve) and touches no other Python. uv is used where it is
present, else venv and pip, with their own settings. To use a Python of yours that has torch, set KERNELEVOLVE_PYTHON to it instead.

Examples:
  kernelevolve setup torch
  KERNELEVOLVE_PYTHON=~/venv/bin/python kernelevolve doctor`,
    )
    .action(async (options: Options) =>
      withServices(options.json === true, async ({ work, progress }) => {
        const { setupTorch } = await import("../../app/torch-setup.ts");
        const result = await setupTorch(
          {
            ...(options.force === undefined ? {} : { force: options.force }),
            ...(options.dev === undefined ? {} : { dev: options.dev }),
            ...(options.python === undefined ? {} : { python: options.python }),
            ...(options.indexUrl === undefined ? {} : { indexUrl: options.indexUrl }),
          },
          work,
        );
        progress.end();
        const { environment, folder, bytes, made, seconds } = result;
        if (options.json === true) {
          printJson({
            folder,
            made,
            bytes,
            seconds,
            python: environment.python ?? null,
            packages: environment.packages,
          });
          return;
        }
        const size = `${(bytes / 2 ** 30).toFixed(2)} GiB`;
        print(
          made ? `made in ${seconds.toFixed(0)} s, ${size}: ${folder}` : `there already, ${size}: ${folder}`,
        );
        print(
          `${environment.detail}\n${environment.whyNoDevice || environment.devices.map((one) => one.name).join(", ")}`,
        );
        if (environment.python !== undefined && !environment.python.startsWith(folder))
          print(`another Python comes first: ${environment.python} (KERNELEVOLVE_PYTHON)`);
      }),
    );
}
