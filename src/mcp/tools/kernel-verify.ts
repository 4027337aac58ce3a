import { z } from "zod";
import { shared } from "../arguments.ts";
import { defineTool } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { evaluateOutput, outcomeOf } from "../outcome.ts";

export const kernelVerify = defineTool({
  name: "kernel_verify",
  title: "Verify a kernel",
  description:
    "Is the candidate right? Fresh secret inputs on every workload, hidden transforms (scaled, negated, shifted, one huge value, all equal), poisoned outputs, guard pages, compared with an oracle in a wider type. Names the first wrong element.",
  input: z.strictObject({
    problem: shared.problem,
    source: shared.source,
    target: shared.target,
    abstraction: shared.abstraction,
    tunables: shared.tunables,
    replace: shared.replace,
    workloads: shared.workloads,
    wait_seconds: shared.wait_seconds,
  }),
  output: evaluateOutput,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ wait_seconds, ...args }, context) => {
    const services = await context.services();
    await services.problems.get(args.problem);
    const job = await startAndWait(
      "evaluate",
      { ...args, stages: ["compile", "verify"] },
      wait_seconds,
      context,
    );
    return await outcomeOf(job, services);
  },
});
