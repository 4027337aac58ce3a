import type { Command } from "commander";
import { KernelEvolveError } from "../../domain/index.ts";
import { withServices } from "../context.ts";
import { numberFrom } from "../numbers.ts";
import { EXIT, print, printJson } from "../output.ts";

interface Options {
  path: string;
  candidates?: string;
  level: number[];
  only?: string;
  target: string;
  seconds: number;
  modelItself?: boolean;
  verifyOnly?: boolean;
  json?: boolean;
}

function level(value: string, before: number[] | undefined): number[] {
  const found = Number(value);
  if (!Number.isInteger(found) || found < 1 || found > 4)
    throw new KernelEvolveError("invalid_argument", `--level ${value.slice(0, 20)}: use 1, 2, 3 or 4`);
  return [...(before ?? []), found];
}

export function bench(program: Command): void {
  const command = program
    .command("bench")
    .description("Judge a folder of candidates for a published benchmark")
    .addHelpText(
      "after",
      "\nExample:\n  kernelevolve bench kernelbench --path ~/KernelBench --candidates mine --level 1 -t nvidia-h100",
    );
  command
    .command("kernelbench")
    .description(
      "KernelBench's table: correct, fast_1, fast_2 and geometric mean, per level, against eager and compile",
    )
    .requiredOption("--path <folder>", "a KernelBench checkout; nothing is written there")
    .option(
      "--candidates <folder>",
      "level1/19_*.py …, or level_1_problem_19_sample_0_kernel.py as KernelBench writes them",
    )
    .option(
      "--model-itself",
      "judge the problem's own Model where there is no candidate: it must be correct and no faster",
    )
    .option("--level <n>", "1, 2, 3 or 4; may be given several times; default: 1, 2 and 3", level)
    .option("--only <text>", "problems whose name contains this")
    .option("-t, --target <id>", "target", "torch-cpu")
    .option("--seconds <n>", "time for each measurement", numberFrom(0.5, 600), 10)
    .option("--verify-only", "stop after verification")
    .option("--json", "one JSON document on stdout: scores and rows")
    .addHelpText(
      "after",
      `
A problem counts as faster by the lower end of its interval. Problems that a null candidate passes stand apart and count nowhere.
What was judged before is not judged again, so a run that was stopped goes on where it was.

Examples:
  kernelevolve bench kernelbench --path ~/KernelBench --candidates mine --level 1 -t nvidia-h100
  kernelevolve bench kernelbench --path ~/KernelBench --model-itself --verify-only --level 1 --only ReLU

Exit codes: 0 every candidate passed, 1 one did not, 2 wrong usage, 3 a tool is missing.`,
    )
    .action(async (options: Options) =>
      withServices(options.json === true, async ({ services, work, progress }) => {
        const { kernelBenchProblems, kernelBenchScores, runKernelBench } = await import(
          "../../app/kernelbench.ts"
        );
        if (options.candidates === undefined && options.modelItself !== true)
          throw new KernelEvolveError("invalid_argument", "there is nothing to judge", {
            fix: "give --candidates, or --model-itself",
          });
        const problems = kernelBenchProblems(options.path, options.level ?? [1, 2, 3]).filter((one) =>
          one.name.includes(options.only ?? ""),
        );
        const rows = await runKernelBench(
          problems,
          {
            target: options.target,
            seconds: options.seconds,
            verifyOnly: options.verifyOnly === true,
            modelItself: options.modelItself === true,
            candidates: options.candidates,
            onRow: (row) => {
              if (options.json === true || row.verdict === "missing") return;
              progress.end();
              const ratios = row.speedups.map(
                (one) =>
                  `${one.ratio.toFixed(2)}x [${one.low.toFixed(2)}, ${one.high.toFixed(2)}] ${one.baseline}`,
              );
              const why = row.reason === null ? "" : ` ${row.reason}`;
              const mark = row.degenerate === true ? " (degenerate)" : "";
              print(`level ${row.level} ${row.problem}: ${row.verdict}${mark} ${ratios.join(", ")}${why}`);
            },
          },
          services,
          work,
        );
        progress.end();
        const scores = kernelBenchScores(rows);
        const judged = rows.filter((row) => row.verdict !== "missing");
        process.exitCode = judged.every((row) => row.verdict === "passed") ? EXIT.ok : EXIT.failed;
        if (options.json === true) {
          printJson({ target: options.target, scores, rows });
          return;
        }
        print("\nlevel  baseline  problems  correct  fast_1  fast_2  geomean  degenerate");
        for (const one of scores)
          print(
            [
              String(one.level).padEnd(5),
              one.baseline.padEnd(8),
              String(one.problems).padStart(8),
              String(one.correct).padStart(7),
              one.fast_1.toFixed(3).padStart(6),
              one.fast_2.toFixed(3).padStart(6),
              (one.geometric_mean?.toFixed(3) ?? "-").padStart(7),
              String(one.degenerate).padStart(10),
            ].join("  "),
          );
        if (rows.length < problems.length) print(`stopped after ${rows.length} of ${problems.length}`);
      }),
    );
}
