import { z } from "zod";
import { shared } from "../arguments.ts";
import { defineTool } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { evaluateOutput, outcomeOf } from "../outcome.ts";

export const kernelProfile = defineTool({
  name: "kernel_profile",
  title: "Profile a kernel",
  description:
    "Where does the time go? Hardware counters, else simulated ones; hot lines, remarks; on GPUs each kernel's timeline, counters and registers; a diagnosis with evidence and advice. Verifies and measures first.",
  input: z.strictObject({
    problem: shared.problem,
    source: shared.source,
    target: shared.target,
    abstraction: shared.abstraction,
    tunables: shared.tunables,
    workloads: shared.workloads,
    benchmark_seconds: shared.benchmark_seconds,
    wait_seconds: shared.wait_seconds,
  }),
  output: evaluateOutput,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ wait_seconds, ...args }, context) => {
    const services = await context.services();
    await services.problems.get(args.problem);
    const job = await startAndWait(
      "evaluate",
      { ...args, stages: ["compile", "verify", "benchmark", "profile"] },
      wait_seconds,
      context,
    );
    return await outcomeOf(job, services);
  },
});
