import { z } from "zod";
import { dtypeSchema, identifierSchema, MAX_SOURCE_BYTES, slugSchema } from "./scalar.ts";

/**
 * The schema of FlashInfer-Trace definitions and workloads (https://bench.flashinfer.ai/docs/flashinfer-trace),
 * with three additions that a native target needs and that other readers ignore: `reference_c`, `cost` and
 * `tolerance`. A definition that FlashInfer-Bench accepts is accepted here unchanged.
 */

const axisSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("const"),
    value: z
      .int()
      .min(0)
      .max(2 ** 40),
    description: z.string().max(500).optional(),
  }),
  z.object({
    type: z.literal("var"),
    description: z.string().max(500).optional(),
    parent: z.string().optional(),
  }),
]);
export type Axis = z.infer<typeof axisSchema>;

/** `shape: null` is a scalar passed by value. Otherwise each entry names an axis. */
const tensorSpecSchema = z.object({
  shape: z.array(identifierSchema).max(8).nullable(),
  dtype: dtypeSchema,
  description: z.string().max(500).optional(),
});
export type TensorSpec = z.infer<typeof tensorSpecSchema>;

/** An arithmetic expression over the axes: + - * / ( ) integers, axis names. Never evaluated as code. */
export const axisExpressionSchema = z
  .string()
  .min(1)
  .max(400)
  .regex(/^[A-Za-z0-9_+\-*/() .]+$/);

export const toleranceSchema = z.object({
  /** Allowed error relative to the element's own magnitude. */
  rtol: z.number().min(0).max(1),
  /** Allowed error relative to the root mean square of the whole output tensor. */
  atol_rms: z.number().min(0).max(1),
});
export type Tolerance = z.infer<typeof toleranceSchema>;

export const definitionSchema = z.object({
  name: slugSchema,
  op_type: slugSchema,
  description: z.string().max(4000).optional(),
  tags: z.array(z.string().max(100)).max(50).optional(),
  axes: z.record(identifierSchema, axisSchema),
  inputs: z.record(identifierSchema, tensorSpecSchema),
  outputs: z.record(identifierSchema, tensorSpecSchema),
  /**
   * e.g. "len_indptr == batch + 1"; checked on every workload. One that names an input ("n == indptr[-1].item()") is
   * about values, which sizes cannot tell: it is kept for the reader and left to the reference.
   */
  constraints: z.array(z.string().max(300)).max(50).optional(),
  /** Python source with a function `run`; used by targets that have Python. */
  reference: z.string().max(MAX_SOURCE_BYTES).optional(),
  /**
   * C source defining `void kernel(<inputs>, <outputs>, <axes>)` in which every floating tensor is `real_t`.
   * The judge compiles it with a wider `real_t` as the oracle; with the problem's own type it is the baseline.
   */
  reference_c: z.string().max(MAX_SOURCE_BYTES).optional(),
  /** Work of one call, for the roofline. `bytes` defaults to every input read once and output written once. */
  cost: z.object({ flops: axisExpressionSchema, bytes: axisExpressionSchema.optional() }).optional(),
  /** Per output; the default follows from the dtype. */
  tolerance: z.record(identifierSchema, toleranceSchema).optional(),
});
export type Definition = z.infer<typeof definitionSchema>;

/**
 * How an input is filled. `random` with no distribution is normal (floats; the judge gives each row a mean and a scale of
 * its own, so that no sum can be guessed) or uniform 0..255 (integers; int8 to 127).
 * Structural kinds keep an invariant that kernels rely on, so hidden value transforms leave them alone.
 */
const generatorSchema = z.discriminatedUnion("distribution", [
  z.object({
    distribution: z.literal("normal"),
    mean: z.number().default(0),
    std: z.number().positive().default(1),
  }),
  z.object({ distribution: z.literal("uniform"), low: z.number(), high: z.number() }),
  /** Integers in [low, high], bounds may be axis expressions such as "N - 1". */
  z.object({ distribution: z.literal("integers"), low: axisExpressionSchema, high: axisExpressionSchema }),
  /** Values that strictly increase along the last axis, e.g. the borders of each feature's buckets. */
  z.object({ distribution: z.literal("sorted"), low: z.number(), high: z.number() }),
  /** CSR-style offsets: first 0, last = total, non-decreasing; length is the tensor's. */
  z.object({ distribution: z.literal("offsets"), total: axisExpressionSchema }),
  z.object({ distribution: z.literal("constant"), value: z.number() }),
]);
export type Generator = z.infer<typeof generatorSchema>;

export const workloadInputSchema = z.union([
  z.object({ type: z.literal("scalar"), value: z.union([z.number(), z.boolean()]) }),
  z.object({ type: z.literal("random"), generator: generatorSchema.optional() }),
  z.object({ type: z.literal("safetensors"), path: z.string().max(1000), tensor_key: z.string().max(200) }),
]);
export type WorkloadInput = z.infer<typeof workloadInputSchema>;

export const workloadSchema = z.object({
  uuid: z
    .string()
    .min(1)
    .max(100)
    .regex(/^[A-Za-z0-9._-]+$/),
  axes: z.record(
    identifierSchema,
    z
      .int()
      .min(0)
      .max(2 ** 40),
  ),
  inputs: z.record(identifierSchema, workloadInputSchema).default({}),
  /** `timed` workloads are verified and benchmarked; `edge` ones (primes, 1, empty) are only verified. */
  role: z.enum(["timed", "edge"]).default("timed"),
});
export type Workload = z.infer<typeof workloadSchema>;

/**
 * A problem in a format of others, kept as it was given: only the torch harness runs it. Its definition then holds its name
 * and its text; axes, inputs and outputs are found out by its own code and stay empty.
 */
export const originSchema = z.discriminatedUnion("format", [
  /** One KernelBench file: `Model`, `get_inputs`, `get_init_inputs`. The candidate defines `ModelNew`. */
  z.strictObject({ format: z.literal("kernelbench"), source: z.string().min(1).max(MAX_SOURCE_BYTES) }),
  /** An ATen operator by overload, with PyTorch's own OpInfo samples. The candidate defines a function of the operator's name. */
  z.strictObject({
    format: z.literal("aten"),
    overload: z
      .string()
      .regex(/^[A-Za-z_]\w{0,80}\.[A-Za-z_]\w{0,80}$/, "must be an overload, e.g. add.Tensor"),
    dtype: dtypeSchema.default("float32"),
    samples: z.int().min(1).max(64).default(4),
  }),
  /** Calls of one operator as BackendBench's trace files list them. */
  z.strictObject({
    format: z.literal("backendbench"),
    overload: z
      .string()
      .regex(/^[A-Za-z_]\w{0,80}\.[A-Za-z_]\w{0,80}$/, "must be an overload, e.g. add.Tensor"),
    trace: z.string().min(1).max(MAX_SOURCE_BYTES),
    samples: z.int().min(1).max(64).default(4),
  }),
  /** A kernelbot task: `task.yml` as an object, and the files that it names, by name. */
  z.strictObject({
    format: z.literal("kernelbot"),
    task: z.record(z.string(), z.unknown()),
    files: z.record(
      z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,80}$/, "must be a file name without folders"),
      z.string().max(MAX_SOURCE_BYTES),
    ),
  }),
]);
export type Origin = z.infer<typeof originSchema>;

/** How the torch harness judges a problem, where that is not the default. */
export const judgingSchema = z.strictObject({
  /** Gradients of all inputs and parameters are verified, and timed. */
  backward: z.boolean().optional(),
  /** A candidate that launches no kernel of its own is rejected. */
  require_own_kernel: z.boolean().optional(),
  /** Inputs and weights are cast to it. */
  dtype: dtypeSchema.optional(),
  rtol: z.number().min(0).max(1).optional(),
  /** Relative to the answer's root mean square. */
  atol_rms: z.number().min(0).max(1).optional(),
  /** `eager` where float64 is too large or not implemented. */
  oracle: z.enum(["float64", "eager"]).optional(),
});
export type Judging = z.infer<typeof judgingSchema>;

/** What a null candidate scores: found once at registration, per workload and candidate. */
export const gradingSchema = z.object({
  /** A degenerate problem is one that some null candidate passes; no speedup on it is credited. */
  degenerate: z.boolean(),
  nulls: z.array(
    z.object({
      candidate: z.enum(["zeros", "ones", "mean", "input_copy", "uninitialised", "random"]),
      passed: z.boolean(),
      workloads_passed: z.array(z.string()),
    }),
  ),
  /** Workloads that a null candidate passes on their own; the speedup of those is not credited. */
  degenerate_workloads: z.array(z.string()),
  graded_at: z.string(),
});
export type Grading = z.infer<typeof gradingSchema>;

export const problemSchema = z.object({
  /** `<definition name>@<first 12 hex of the content hash>`. */
  id: z.string().max(160),
  /** sha256 of definition, workloads, cache state and the order of the arguments in canonical JSON. */
  content_hash: z.string().length(64),
  definition: definitionSchema,
  workloads: z.array(workloadSchema).min(1).max(200),
  /** Cache state before each timed call. */
  cache: z.enum(["cold", "warm"]).default("cold"),
  origin: originSchema.optional(),
  judging: judgingSchema.optional(),
  grading: gradingSchema.optional(),
  source: z.enum(["shipped", "registered"]),
});
export type Problem = z.infer<typeof problemSchema>;
