import { z } from "zod";
import { shared } from "../arguments.ts";
import { defineTool } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { evaluateOutput, outcomeOf } from "../outcome.ts";

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
    replace: shared.replace,
    workloads: shared.workloads,
    benchmark_seconds: shared.benchmark_seconds,
    profile: z.boolean().default(false).describe("Profile it too"),
    use_cache: shared.use_cache,
    wait_seconds: shared.wait_seconds,
  }),
  output: evaluateOutput,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ wait_seconds, profile, ...args }, context) => {
    const services = await context.services();
    await services.problems.get(args.problem);
    const stages = ["compile", "verify", "benchmark", ...(profile ? ["profile"] : [])];
    const job = await startAndWait("evaluate", { ...args, stages }, wait_seconds, context);
    return await outcomeOf(job, services);
  },
});
