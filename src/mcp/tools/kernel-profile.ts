import { z } from "zod";
import { defineTool, shared } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { outcomeOf, outcomeSchema } from "../outcome.ts";

export const kernelProfile = defineTool({
  name: "kernel_profile",
  title: "Profile a kernel",
  description:
    "Where does the time go? Hardware counters where the machine has them, else simulated instructions and caches; hot lines, vectorisation remarks, and a diagnosis that names the bottleneck with its evidence and advice.",
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
      { ...args, stages: ["compile", "verify", "benchmark", "profile"] },
      wait_seconds,
      context,
    );
    return await outcomeOf(
      job,
      await context.services(),
      "change the kernel as the diagnosis says, then kernel_evaluate",
    );
  },
});
