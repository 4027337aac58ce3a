import { z } from "zod";
import { defineTool, shared } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { outcomeOf, outcomeSchema } from "../outcome.ts";

export const kernelBenchmark = defineTool({
  name: "kernel_benchmark",
  title: "Benchmark a kernel",
  description:
    "How fast is it beside the baselines (the plain loop at -O2, and the compiler at its best)? Verifies first, then alternates candidate and baselines in processes of their own with new contents each call; median of paired ratios with a 95 % interval, share of the roofline. Every timed answer is checked.",
  input: z.strictObject({
    problem: shared.problem,
    source: shared.source,
    target: shared.target,
    abstraction: shared.abstraction,
    tunables: shared.tunables,
    workloads: z.array(z.string().max(100)).max(200).optional().describe("Workload uuids; all when left out"),
    benchmark_seconds: z
      .number()
      .min(0.5)
      .max(600)
      .default(10)
      .describe("Time for the measurement; it ends sooner when the interval is narrow"),
    wait_seconds: shared.wait_seconds,
  }),
  output: outcomeSchema,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ wait_seconds, ...args }, context) => {
    const job = await startAndWait(
      "evaluate",
      { ...args, stages: ["compile", "verify", "benchmark"] },
      wait_seconds,
      context,
    );
    return await outcomeOf(job, await context.services(), "kernel_profile, or change the kernel");
  },
});
