import { z } from "zod";
import {
  definitionSchema,
  judgingSchema,
  KernelEvolveError,
  originSchema,
  workloadSchema,
} from "../../domain/index.ts";
import { checkField, shared } from "../arguments.ts";
import { defineTool } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { outcomeOf, registerOutput } from "../outcome.ts";

type Fields = Readonly<Record<string, unknown>>;

function inline(definition: Fields | undefined, workloads: readonly Fields[] | undefined) {
  if (definition === undefined || workloads === undefined)
    throw new KernelEvolveError(
      "invalid_argument",
      `${definition === undefined ? "definition" : "workloads"}: is missing`,
      { fix: "give definition and workloads, or an origin" },
    );
  return {
    definition: checkField(definitionSchema, definition, "definition"),
    workloads: workloads.map((workload, index) => checkField(workloadSchema, workload, `workloads.${index}`)),
  };
}

export const problemRegister = defineTool({
  name: "problem_register",
  title: "Register a problem",
  description: [
    "Makes a problem of a definition (FlashInfer-Trace schema) and its workloads, or of an origin, and grades it: candidates that compute nothing are tried, and what they pass is not credited later.",
    'definition: {name, op_type, axes: {N: {type: "var"} | {type: "const", value}}, inputs: {x: {shape: ["N"] | null, dtype}}, outputs: {y: {shape, dtype}}, reference_c, constraints?: ["B1 == B + 1"], cost?: {flops: "2*N", bytes?}, tolerance?: {y: {rtol, atol_rms}}}.',
    'reference_c: C with #include "kernel.h" and void kernel(<inputs>, <outputs>, <axes as int64_t>), real_t for floating tensors: the plain correct loop. It becomes the oracle (in a wider type) and the baseline.',
    'workloads: [{uuid, axes: {N: 1000}, role: "timed" | "edge", inputs: {eps: {type: "scalar", value}, x: {type: "random", generator: {distribution: "normal" | "uniform" | "integers" | "sorted" | "offsets" | "constant", ...}}}}]. Add edge workloads: 1, primes, empty.',
    'origin (PyTorch targets; instead of definition and workloads): {format: "kernelbench", source} | {format: "aten", overload: "add.Tensor", dtype?, samples?} | {format: "backendbench", overload, trace} | {format: "kernelbot", task, files}. A definition with a Python `reference` (function run) works there too.',
    'judging (PyTorch): {backward?, require_own_kernel?, dtype?, rtol?, atol_rms?, oracle?: "eager"}.',
  ].join("\n"),
  input: z.strictObject({
    definition: z.record(z.string(), z.unknown()).optional().describe("See above"),
    workloads: z.array(z.record(z.string(), z.unknown())).min(1).max(200).optional().describe("See above"),
    origin: z.record(z.string(), z.unknown()).optional().describe("See above"),
    name: z.string().min(1).max(96).optional().describe("With origin: its name"),
    judging: z.record(z.string(), z.unknown()).optional().describe("See above"),
    cache: z.enum(["cold", "warm"]).default("cold").describe("Cache state before each timed call"),
    target: shared.target,
    wait_seconds: shared.wait_seconds,
  }),
  output: registerOutput,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ definition, workloads, origin, name, judging, cache, target, wait_seconds }, context) => {
    const options = {
      cache,
      ...(judging === undefined ? {} : { judging: checkField(judgingSchema, judging, "judging") }),
    };
    if (origin !== undefined && (definition !== undefined || workloads !== undefined))
      throw new KernelEvolveError(
        "invalid_argument",
        "origin: a problem has an origin, or a definition with workloads",
        {
          fix: "leave one of them out",
        },
      );
    const given =
      origin === undefined
        ? inline(definition, workloads)
        : { origin: checkField(originSchema, origin, "origin"), ...(name === undefined ? {} : { name }) };
    const problem = { ...given, ...options };
    // As text: the order of axes, inputs and outputs is the order of the kernel's arguments.
    const args = { problem: JSON.stringify(problem), target };
    const job = await startAndWait("register", args, wait_seconds, context);
    return await outcomeOf(job, await context.services());
  },
});
