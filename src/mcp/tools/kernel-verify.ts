import { z } from "zod";
import { defineTool, shared } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { outcomeOf, outcomeSchema } from "../outcome.ts";

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
    workloads: z.array(z.string().max(100)).max(200).optional().describe("Workload uuids; all when left out"),
    wait_seconds: shared.wait_seconds,
  }),
  output: outcomeSchema,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ wait_seconds, ...args }, context) => {
    const job = await startAndWait(
      "evaluate",
      { ...args, stages: ["compile", "verify"] },
      wait_seconds,
      context,
    );
    return await outcomeOf(job, await context.services(), "kernel_benchmark");
  },
});
