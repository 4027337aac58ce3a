import { z } from "zod";
import { definitionSchema, workloadSchema } from "../../domain/index.ts";
import { checkField, shared } from "../arguments.ts";
import { defineTool } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { outcomeOf, registerOutput } from "../outcome.ts";

export const problemRegister = defineTool({
  name: "problem_register",
  title: "Register a problem",
  description: [
    "Makes a problem of a definition (FlashInfer-Trace schema) and its workloads, and grades it: candidates that compute nothing are tried, and what they pass is not credited later.",
    'definition: {name, op_type, axes: {N: {type: "var"} | {type: "const", value}}, inputs: {x: {shape: ["N"] | null, dtype}}, outputs: {y: {shape, dtype}}, reference_c, constraints?: ["B1 == B + 1"], cost?: {flops: "2*N", bytes?}, tolerance?: {y: {rtol, atol_rms}}}.',
    "reference_c: C source of void kernel(<inputs>, <outputs>, <axes as int64_t>) with real_t for floating tensors: the plain correct loop. It becomes the oracle (in a wider type) and the baseline.",
    'workloads: [{uuid, axes: {N: 1000}, role: "timed" | "edge", inputs: {eps: {type: "scalar", value}, x: {type: "random", generator: {distribution: "normal" | "uniform" | "integers" | "sorted" | "offsets" | "constant", ...}}}}]. Add edge workloads: 1, primes, empty.',
  ].join("\n"),
  input: z.strictObject({
    definition: z.record(z.string(), z.unknown()).describe("The definition, see above"),
    workloads: z
      .array(z.record(z.string(), z.unknown()))
      .min(1)
      .max(200)
      .describe("The workloads, see above"),
    cache: z.enum(["cold", "warm"]).default("cold").describe("Cache state before each timed call"),
    target: shared.target,
    wait_seconds: shared.wait_seconds,
  }),
  output: registerOutput,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ definition, workloads, cache, target, wait_seconds }, context) => {
    const problem = {
      definition: checkField(definitionSchema, definition, "definition"),
      workloads: workloads.map((workload, index) =>
        checkField(workloadSchema, workload, `workloads.${index}`),
      ),
      cache,
    };
    // As text: the order of axes, inputs and outputs is the order of the kernel's arguments.
    const args = { problem: JSON.stringify(problem), target };
    const job = await startAndWait("register", args, wait_seconds, context);
    return await outcomeOf(job, await context.services());
  },
});
