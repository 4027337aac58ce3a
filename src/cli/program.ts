import { Command } from "commander";
import { demo } from "./commands/demo.ts";
import { doctor } from "./commands/doctor.ts";
import { evaluate } from "./commands/evaluate.ts";
import { evolve } from "./commands/evolve.ts";
import { problems } from "./commands/problems.ts";
import { report, runs } from "./commands/report.ts";
import { serve } from "./commands/serve.ts";
import { targets } from "./commands/targets.ts";

/** The command line. */
export function buildProgram(version: string): Command {
  const program = new Command("kernelevolve")
    .description(
      "Makes compute kernels faster by evolutionary search, with verdicts that can be trusted. An MCP server and a command line over the same services.",
    )
    .version(version)
    .showHelpAfterError("(kernelevolve --help shows the commands)")
    .addHelpText(
      "after",
      `
Start here:
  kernelevolve doctor                        what works on this machine
  kernelevolve demo                          the whole job in under two minutes
  kernelevolve problems                      the problems there are
  kernelevolve evaluate -p matmul -c mine.c  is my kernel right, and how fast is it?
  kernelevolve evolve -p matmul              search for a faster one`,
    );
  serve(program, version);
  for (const command of [demo, doctor, targets, problems, evaluate, evolve, report, runs]) command(program);
  return program;
}
