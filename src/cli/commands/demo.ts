import { basename, dirname } from "node:path";
import { pathToFileURL } from "node:url";
import type { Command } from "commander";
import { z } from "zod";
import { type EvaluationRecord, evaluationRecordSchema } from "../../domain/index.ts";
import { counted } from "../../platform/text.ts";
import { numberFrom } from "../numbers.ts";
import { EXIT, fail, ProgressLine, print, printJson } from "../output.ts";
import { ToolClient } from "../tool-client.ts";

interface Options {
  problem: string;
  seconds: number;
  json?: boolean;
}

const BASELINES: Record<string, string> = {
  reference: "the reference (plain loop, -O2)",
  "compiler-best": "the compiler's own best (plain loop, -O3 -march=native -ffast-math -funroll-loops)",
};

function resultText(record: EvaluationRecord): string {
  const lines = record.speedups.map((speedup) => {
    const interval = `[${speedup.low.toFixed(2)}, ${speedup.high.toFixed(2)}]`;
    const credit = speedup.credited ? "" : ", not credited";
    return `  ${speedup.ratio.toFixed(2)}x  95 % interval ${interval} over ${BASELINES[speedup.baseline] ?? speedup.baseline}${credit}`;
  });
  if (record.roofline !== undefined)
    lines.push(`  ${(record.roofline * 100).toFixed(0)} % of this machine's roofline, one core`);
  lines.push(`  on ${record.device}, sandbox ${record.sandbox}`);
  return lines.join("\n");
}

function fileText(file: { path: string; what: string }): string {
  return `  ${file.what}: ${file.path.endsWith(".html") ? pathToFileURL(file.path).href : file.path}`;
}

const FIRST = /^(kernel\.\w+|evaluation\.json|report\.html)$/;

/** What to look at first, and where the rest lies. */
function filesText(files: readonly { path: string; what: string }[]): string {
  const first = files.filter((file) => FIRST.test(basename(file.path)) && !file.path.includes("/dispatch/"));
  const [one] = first;
  if (one === undefined) return files.map(fileText).join("\n");
  return [...first.map(fileText), `  all ${files.length} files: ${dirname(one.path)}`].join("\n");
}

/** Answers the exit code. */
async function runDemo(options: Options, progress: ProgressLine): Promise<number> {
  const say = (text: string): void => {
    progress.end();
    if (options.json !== true) print(text);
  };
  const { readProblemFile, shippedProblem } = await import("../../app/problem-file.ts");
  const path = /[./]/.test(options.problem) ? options.problem : shippedProblem(options.problem);
  const problem = { ...readProblemFile(path) };
  progress.show("starting the server over stdio");
  const client = await ToolClient.start((text) => progress.show(text));
  try {
    say(`connected over stdio: ${await client.toolCount()} tools`);
    progress.show(`registering ${basename(path)}`);
    const registered = await client.call("problem_register", problem);
    say(`registered ${registered.problem ?? ""}; searching for at most ${options.seconds} s`);
    const started = await client.call("evolve_start", {
      problem: registered.problem,
      seconds: options.seconds,
      seed: 1,
    });
    const run = z.string().parse(started.overview?.run);
    const { overview } = await client.call("evolve_run", { run, wait_seconds: 20 });
    const { files = [] } = await client.call("evolve_export", { run, finish: true, wait_seconds: 20 });
    const best = overview?.best ?? null;
    const record =
      best === null ? null : evaluationRecordSchema.parse(JSON.parse(await client.read(best.evaluation)));
    progress.end();
    if (options.json === true) printJson({ run, overview, record, files });
    else {
      const { nodes = 0, seconds = 0 } = overview?.spent ?? {};
      print(`\n${counted(nodes, "kernel")} in ${seconds.toFixed(0)} s (run ${run}); the best one:`);
      print(
        record === null
          ? "  none earned a credited speedup: is the machine busy? Try again with a longer --seconds"
          : resultText(record),
      );
      print(filesText(files));
    }
    return record === null ? EXIT.failed : EXIT.ok;
  } finally {
    await client.close();
  }
}

export function demo(program: Command): void {
  program
    .command("demo")
    .description(
      "The main job in under two minutes: a client starts the server over stdio, registers a problem and lets the server evolve a kernel for it",
    )
    .option("-p, --problem <name|path>", "a shipped problem, or a file or folder of your own", "matmul")
    .option("--seconds <n>", "seconds of search", numberFrom(5, 90), 75)
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      `
Examples:
  kernelevolve demo
  kernelevolve demo -p softmax --seconds 40

Exit codes: 0 a credited speedup was found, 1 none was, 3 a tool is missing.`,
    )
    .action(async (options: Options) => {
      const progress = new ProgressLine();
      try {
        process.exitCode = await runDemo(options, progress);
      } catch (error) {
        progress.end();
        fail(error, options.json === true);
      }
    });
}
