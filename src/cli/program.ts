import { Command, CommanderError } from "commander";
import { bench } from "./commands/bench.ts";
import { demo } from "./commands/demo.ts";
import { docs } from "./commands/docs.ts";
import { doctor } from "./commands/doctor.ts";
import { evaluate } from "./commands/evaluate.ts";
import { evolve } from "./commands/evolve.ts";
import { problems } from "./commands/problems.ts";
import { report } from "./commands/report.ts";
import { runs } from "./commands/runs.ts";
import { serve } from "./commands/serve.ts";
import { setup } from "./commands/setup.ts";
import { targets } from "./commands/targets.ts";
import { EXIT, fail, printJson } from "./output.ts";

/** The command line. Its commands load the services only when they run. */
export function buildProgram(version: string): Command {
  const program = new Command("kernelevolve")
    .description(
      "Makes compute kernels faster by evolutionary search, with verdicts that can be trusted. An MCP server and a command line over the same services.",
    )
    .version(version)
    // Inherited by the commands: usage errors come back here, for their exit code.
    .exitOverride()
    .showHelpAfterError("(kernelevolve --help shows the commands; each has its own --help with examples)")
    .addHelpText(
      "after",
      `
Start here:
  kernelevolve doctor                        what works on this machine
  kernelevolve demo                          the whole job in under two minutes
  kernelevolve problems                      the problems there are
  kernelevolve evaluate -p matmul -c mine.c  is my kernel right, and how fast is it?
  kernelevolve evolve -p matmul              search for a faster one

Results go to stdout (with --json as one JSON document), progress and logs to stderr.
Exit codes: 0 done, 1 rejected or failed, 2 wrong usage, 3 a tool is missing, 130 stopped by Ctrl-C.`,
    );
  serve(program, version);
  for (const command of [demo, doctor, targets, problems, evaluate, evolve, report, runs, docs, setup, bench])
    command(program);
  return program;
}

/** Runs the command line; sets the exit code and never throws. */
export async function runProgram(version: string, args: readonly string[]): Promise<void> {
  // A reader that has seen enough (`| head`) is no error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  try {
    await buildProgram(version).parseAsync(args, { from: "user" });
  } catch (error) {
    const json = args.includes("--json");
    if (!(error instanceof CommanderError)) return fail(error, json);
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    // Commander has told it on stderr.
    if (json && error.exitCode !== 0)
      printJson({ error: { code: "invalid_argument", message: error.message.replace(/^error: /, "") } });
  }
}
