import { z } from "zod";

/** The judge's JSON lines. Anything else on its stdout is an infrastructure error, never a result. */
const num = z.number().nullable();
const timing = z.object({ median_ns: z.number(), p10_ns: z.number(), p90_ns: z.number(), samples: z.int() });

export const judgeEventSchema = z.discriminatedUnion("event", [
  z.object({ event: z.literal("waiting") }),
  z.object({ event: z.literal("device") }),
  z.object({
    event: z.literal("progress"),
    workload: z.string(),
    index: z.int(),
    generation: z.int(),
    ratio: z.number(),
    low: num,
    high: num,
  }),
  z.object({
    event: z.literal("host_failure"),
    workload: z.string(),
    role: z.enum(["candidate", "baseline", "oracle"]),
    name: z.string(),
    code: z.string(),
    signal: z.int(),
    syscall: z.int(),
    place: z.string(),
    tensor: z.string(),
    exit: z.int(),
    load_error: z.string(),
    text: z.string(),
    text_bytes: z.int(),
  }),
  z.object({
    event: z.literal("wrong"),
    workload: z.string(),
    code: z.string(),
    trial: z.string(),
    output: z.string(),
    index: z.int(),
    got: num,
    expected: num,
    got_text: z.string(),
    expected_text: z.string(),
    wrong_elements: z.int(),
    elements: z.int(),
    error_over_tolerance: num,
  }),
  z.object({
    event: z.literal("verified"),
    workload: z.string(),
    trials: z.int(),
    passed: z.boolean(),
    worst_error: num,
    baseline_error: num,
    deterministic: z.boolean(),
    confinement: z.int(),
    text: z.string(),
    text_bytes: z.int(),
  }),
  z.object({
    event: z.literal("benchmarked"),
    workload: z.string(),
    candidate: timing,
    baselines: z.array(
      z.object({ name: z.string(), timing, ratio: z.number(), low: z.number(), high: z.number() }),
    ),
    control_bias: z.number(),
    control_half_width: num,
    arming_candidate_ns: z.number(),
    arming_baseline_ns: z.number(),
    pairs: z.int(),
    rejected: z.int(),
    dirty_candidate: z.int(),
    dirty_baseline: z.int(),
    generations: z.int(),
    rounds: z.int(),
    checked: z.int(),
    handshake: z.enum(["spin", "block"]),
    resolved: z.boolean(),
    seconds: z.number(),
  }),
  z.object({ event: z.literal("unmeasured"), workload: z.string(), rejected: z.int(), rounds: z.int() }),
  z.object({
    event: z.literal("graded"),
    workload: z.string(),
    empty: z.boolean(),
    nulls: z.object({
      zeros: z.boolean(),
      ones: z.boolean(),
      mean: z.boolean(),
      input_copy: z.boolean(),
      uninitialised: z.boolean(),
      random: z.boolean(),
    }),
  }),
  z.object({ event: z.literal("error"), message: z.string() }),
  z.object({ event: z.literal("end"), seed: z.string(), priority: z.enum(["raised", "normal"]) }),
]);
export type JudgeEvent = z.infer<typeof judgeEventSchema>;
export type HostFailure = Extract<JudgeEvent, { event: "host_failure" }>;
export type WrongAnswer = Extract<JudgeEvent, { event: "wrong" }>;
export type Verified = Extract<JudgeEvent, { event: "verified" }>;
export type Benchmarked = Extract<JudgeEvent, { event: "benchmarked" }>;
export type Graded = Extract<JudgeEvent, { event: "graded" }>;
