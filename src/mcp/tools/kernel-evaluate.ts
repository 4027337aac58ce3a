import { z } from "zod";
import { defineTool, shared } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { outcomeOf, outcomeSchema } from "../outcome.ts";

export const kernelEvaluate = defineTool({
  name: "kernel_evaluate",
  title: "Evaluate a kernel",
  description:
    "The whole evaluation of one candidate in one call: compile, verify, benchmark and, when asked, profile. Answers the evaluation record: verdict (passed, flagged, rejected), status, reasons, speedups with intervals and whether they are credited, roofline, diagnosis. A cached repeat costs nothing.",
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
    profile: z.boolean().default(false).describe("Profile it too"),
    wait_seconds: shared.wait_seconds,
  }),
  output: outcomeSchema,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ wait_seconds, profile, ...args }, context) => {
    const job = await startAndWait(
      "evaluate",
      {
        ...args,
        stages: profile ? ["compile", "verify", "benchmark", "profile"] : ["compile", "verify", "benchmark"],
      },
      wait_seconds,
      context,
    );
    return await outcomeOf(
      job,
      await context.services(),
      "improve it by the diagnosis, or evolve_start to search",
    );
  },
});
