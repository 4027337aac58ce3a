import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { type EvaluationRecord, errorMessage, KernelEvolveError } from "../../domain/index.ts";
import { recordText } from "../../mcp/render.ts";
import { withServices } from "../context.ts";
import { numberFrom } from "../numbers.ts";
import { EXIT, print, printJson } from "../output.ts";
import { abstractionOf, problemArgument } from "../problem-argument.ts";

interface Options {
  problem: string;
  candidate: string[];
  target: string;
  abstraction?: string;
  seconds: number;
  profile?: boolean;
  compileOnly?: boolean;
  verifyOnly?: boolean;
  cache: boolean;
  replace?: string;
  json?: boolean;
}

function sourceOf(file: string, option = "--candidate"): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new KernelEvolveError("invalid_argument", `${option} ${file}: ${errorMessage(error)}`);
  }
}

export function evaluate(program: Command): void {
  program
    .command("evaluate")
    .description("Compile, verify and benchmark candidates of a problem")
    .requiredOption(
      "-p, --problem <name|file>",
      "problem name or id; a file or folder with its definition and workloads; a KernelBench file; a kernelbot task; aten:add.Tensor",
    )
    .requiredOption("-c, --candidate <file...>", "source files, one candidate each")
    .option("-t, --target <id>", "target", "cpu-x86-64")
    .option("--abstraction <name>", "language; default follows from the file's ending")
    .option("--seconds <n>", "time for each measurement", numberFrom(0.5, 600), 10)
    .addOption(
      new Option("--profile", "profile it too, and name the bottleneck").conflicts([
        "compileOnly",
        "verifyOnly",
      ]),
    )
    .option(
      "--compile-only",
      "stop after compiling; a Triton candidate is compiled for a GPU target without the device",
    )
    .addOption(new Option("--verify-only", "stop after verification").conflicts("compileOnly"))
    .option(
      "--replace <file>",
      "an edited .ptx or .amdgcn text in place of what the compiler made of the kernel that it defines",
    )
    .option("--no-cache", "evaluate anew, even when the same was done before")
    .option("--json", "an array of evaluation records on stdout")
    .addHelpText(
      "after",
      `
Examples:
  kernelevolve evaluate -p matmul -c my_matmul.c
  kernelevolve evaluate -p softmax -c a.c b.cpp --profile --json
  kernelevolve evaluate -p level1/19_ReLU.py -c relu_triton.py -t nvidia-h100 --json
  kernelevolve evaluate -p aten:softmax.int -c softmax.py -t torch-cpu --verify-only
  kernelevolve evaluate -p level1/19_ReLU.py -c relu_triton.py -t amd-mi300x --compile-only
  kernelevolve evaluate -p level1/19_ReLU.py -c relu_triton.py -t nvidia-h100 --replace relu.ptx
  kernelevolve problems matmul          the prototype a candidate must define

Exit codes: 0 all passed, 1 one was rejected or flagged, 2 wrong usage, 3 a tool is missing.`,
    )
    .action(async (options: Options) =>
      withServices(options.json === true, async ({ services, work, progress }) => {
        // All of them first: a name misspelt at the end is no reason to measure for minutes.
        const candidates = options.candidate.map((file) => ({ file, source: sourceOf(file) }));
        const text = options.replace === undefined ? undefined : sourceOf(options.replace, "--replace");
        const problem = await problemArgument(options.problem, options.target, services, work);
        const records: EvaluationRecord[] = [];
        for (const { file, source } of candidates) {
          const abstraction = options.abstraction ?? abstractionOf(file, source);
          const stages =
            options.compileOnly === true
              ? (["compile"] as const)
              : options.verifyOnly === true
                ? (["compile", "verify"] as const)
                : options.profile === true
                  ? (["compile", "verify", "benchmark", "profile"] as const)
                  : undefined;
          const record = await services.evaluations.evaluate(
            { source, problem, target: options.target, abstraction },
            {
              ...(stages === undefined ? {} : { stages }),
              benchmark_seconds: options.seconds,
              use_cache: options.cache,
              ...(text === undefined ? {} : { replace: { kernel: "", text } }),
            },
            work,
          );
          records.push(record);
          progress.end();
          if (options.json !== true) print(`${file}: ${recordText(record)}\n`);
        }
        if (options.json === true) printJson(records);
        process.exitCode = records.every((record) => record.verdict === "passed") ? EXIT.ok : EXIT.failed;
      }),
    );
}
