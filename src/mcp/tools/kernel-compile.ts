import { z } from "zod";
import { defineTool, shared } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { outcomeOf, outcomeSchema } from "../outcome.ts";

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
    wait_seconds: shared.wait_seconds,
  }),
  output: outcomeSchema,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ wait_seconds, ...args }, context) => {
    const job = await startAndWait("evaluate", { ...args, stages: ["compile"] }, wait_seconds, context);
    return await outcomeOf(job, await context.services(), "kernel_verify");
  },
});
