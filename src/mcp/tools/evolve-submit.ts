import { z } from "zod";
import { usageSchema } from "../../domain/index.ts";
import { shared } from "../arguments.ts";
import { defineTool } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { outcomeOf, submitOutput } from "../outcome.ts";

export const evolveSubmit = defineTool({
  name: "evolve_submit",
  title: "Submit a child",
  description:
    "Hands in the kernel for a claim: it is evaluated and recorded for good before the answer, with verdict, speedup and interval, diagnosis, what it changed against its parent, and what is spent and left. The same claim with the same source answers the same node. A source that the run already has, but for comments, white space and names, costs nothing and answers its twin.",
  input: z.strictObject({
    run: shared.run,
    claim: shared.claim,
    source: shared.source,
    rationale: z.string().min(1).max(2000).describe("One line: what was changed and why it should help"),
    deferred: z
      .array(z.string().max(200))
      .max(5)
      .optional()
      .describe("Ideas put off, a line each: the next prompt from this node shows them"),
    proposer: shared.proposer,
    tunables: shared.tunables,
    benchmark_seconds: shared.benchmark_seconds
      .unwrap()
      .optional()
      .describe("Longest time for measuring; left out: what the run's budget allows"),
    usage: usageSchema
      .optional()
      .describe("Tokens and cost of your model for this claim; needed where the run is bounded by them"),
    wait_seconds: shared.wait_seconds,
  }),
  output: submitOutput,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ wait_seconds, ...args }, context) => {
    const services = await context.services();
    await services.evolution.get(args.run);
    return await outcomeOf(await startAndWait("submit", args, wait_seconds, context), services);
  },
});
