import { z } from "zod";
import { shared } from "../arguments.ts";
import { defineTool } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { evaluateOutput, outcomeOf } from "../outcome.ts";

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
    workloads: shared.workloads,
    benchmark_seconds: shared.benchmark_seconds,
    use_cache: shared.use_cache,
    wait_seconds: shared.wait_seconds,
  }),
  output: evaluateOutput,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ wait_seconds, ...args }, context) => {
    const services = await context.services();
    await services.problems.get(args.problem);
    const job = await startAndWait(
      "evaluate",
      { ...args, stages: ["compile", "verify", "benchmark"] },
      wait_seconds,
      context,
    );
    return await outcomeOf(job, services);
  },
});
