import { z } from "zod";
import { defineTool, shared } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { outcomeOf, outcomeSchema } from "../outcome.ts";

export const evolveSubmit = defineTool({
  name: "evolve_submit",
  title: "Submit a child",
  description:
    "Hands in the kernel for a claim: it is evaluated and recorded for good before the answer, with verdict, speedup and interval, diagnosis, and what is spent and left. The same claim with the same source answers the same node. A source that the run already has, but for comments and white space, costs nothing and answers its twin.",
  input: z.strictObject({
    run: shared.run,
    claim: z.string().min(1).max(80).describe("Claim id, from evolve_next"),
    source: shared.source,
    rationale: z.string().min(1).max(2000).describe("One line: what was changed and why it should help"),
    proposer: z.string().min(1).max(80).default("agent").describe("Who proposes"),
    tunables: shared.tunables,
    benchmark_seconds: z.number().min(0.5).max(600).default(10).describe("Time for the measurement"),
    wait_seconds: shared.wait_seconds,
  }),
  output: outcomeSchema,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ wait_seconds, ...args }, context) => {
    const job = await startAndWait("submit", args, wait_seconds, context);
    return await outcomeOf(job, await context.services(), "evolve_next");
  },
});
