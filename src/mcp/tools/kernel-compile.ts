import { z } from "zod";
import { shared } from "../arguments.ts";
import { defineTool } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { evaluateOutput, outcomeOf } from "../outcome.ts";

export const kernelCompile = defineTool({
  name: "kernel_compile",
  title: "Compile a kernel",
  description:
    "Compiles a candidate in the sandbox: errors with line numbers, size, vectorisation remarks and the assembly as an artifact. Results are cached by content.",
  input: z.strictObject({
    problem: shared.problem,
    source: shared.source,
    target: shared.target,
    abstraction: shared.abstraction,
    tunables: shared.tunables,
    replace: shared.replace,
    wait_seconds: shared.wait_seconds,
  }),
  output: evaluateOutput,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ wait_seconds, ...args }, context) => {
    const services = await context.services();
    await services.problems.get(args.problem);
    const job = await startAndWait("evaluate", { ...args, stages: ["compile"] }, wait_seconds, context);
    return await outcomeOf(job, services);
  },
});
