import { z } from "zod";

/** The torch judge's JSON lines, as tools/torch/README.md lists them. What is not among them is an infrastructure error. */
const num = z.number().nullable();
const count = z.number();
const timing = z.object({ median_ns: z.number(), p10_ns: z.number(), p90_ns: z.number(), samples: z.int() });
const workload = z.string();

export const torchEventSchema = z.discriminatedUnion("event", [
  z.object({
    event: z.literal("problem"),
    name: z.string(),
    format: z.string(),
    digest: z.string(),
    notes: z.array(z.string()),
    workloads: z.array(z.string()),
    timed: z.array(z.string()),
    optional: z.array(z.string()),
  }),
  z.object({ event: z.literal("weights"), by: z.string(), why_not: z.string().nullish() }),
  z.object({ event: z.literal("oracle"), kind: z.string(), reason: z.string() }),
  z.object({ event: z.literal("skipped"), workload, trial: z.string(), reason: z.string() }),
  z.object({
    event: z.literal("wrong"),
    workload,
    code: z.string(),
    trial: z.string(),
    output: z.union([z.string(), z.number()]).nullish(),
    index: z.union([z.number(), z.array(z.number())]).nullish(),
    got_text: z.string(),
    expected_text: z.string(),
    wrong_elements: count.nullish(),
    elements: count.nullish(),
    message: z.string().nullish(),
  }),
  z.object({
    event: z.literal("host_failure"),
    workload: workload.nullish(),
    role: z.string(),
    name: z.string(),
    code: z.string(),
    message: z.string(),
    text: z.string(),
  }),
  z.object({ event: z.literal("conduct"), workload, code: z.string(), message: z.string() }),
  z.object({
    event: z.literal("verified"),
    workload,
    trials: z.int(),
    passed: z.boolean(),
    worst_error: num,
    baseline_error: num,
    deterministic: z.boolean().nullish(),
    skipped: z.array(z.string()),
    text: z.string(),
    text_bytes: z.int(),
  }),
  z.object({
    event: z.literal("dispatched"),
    workload,
    work: z.enum(["own", "mixed", "torch", "python"]),
    own_kernels: z.array(z.string()),
    torch_operators: z.record(z.string(), count),
    kernels: z.record(z.string(), z.object({ count, us: z.number() })),
    share_own: num,
  }),
  z.object({ event: z.literal("undispatched"), workload, reason: z.string() }),
  z.object({ event: z.literal("waiting") }),
  z.object({
    event: z.literal("progress"),
    workload,
    generation: z.int(),
    ratio: num,
    low: num,
    high: num,
  }),
  z.object({ event: z.literal("throttled"), workload, reasons: z.unknown() }),
  z.object({
    event: z.literal("benchmarked"),
    workload,
    candidate: timing,
    baselines: z.array(
      z.object({ name: z.string(), timing, ratio: z.number(), low: z.number(), high: z.number() }),
    ),
    control_bias: z.number(),
    control_half_width: num,
    pairs: z.int(),
    rejected: z.int(),
    clock: z.string(),
    cache: z.enum(["cold", "warm"]),
    flags: z.array(z.string()),
    resolved: z.boolean(),
    seconds: z.number(),
  }),
  z.object({ event: z.literal("unmeasured"), workload, rejected: z.int(), rounds: z.int() }),
  z.object({
    event: z.literal("graded"),
    workload,
    empty: z.boolean(),
    constant: z.boolean(),
    degenerate: z.boolean(),
    nulls: z.record(z.string(), z.boolean()),
  }),
  z.object({
    event: z.literal("built"),
    cached: z.boolean(),
    seconds: z.number(),
    tool: z.string(),
    warnings: z.array(z.object({ message: z.string(), line: num })),
  }),
  z.object({ event: z.literal("compile_error"), message: z.string(), line: num, text: z.string() }),
  z.object({ event: z.literal("missing"), what: z.string(), reason: z.string() }),
  z.object({ event: z.literal("seconds") }),
  z.object({ event: z.literal("device"), device: z.unknown(), torch: z.string() }),
  z.object({
    event: z.literal("error"),
    code: z.enum(["invalid_job", "unsupported", "infrastructure", "reference_failed"]),
    message: z.string(),
  }),
  /** `retired`: a fault of the device ended this process's use of it; the next job needs another. */
  z.object({
    event: z.literal("done"),
    ok: z.boolean(),
    seconds: z.number(),
    retired: z.boolean().optional(),
  }),
]);
export type TorchEvent = z.infer<typeof torchEventSchema>;
export type TorchEventOf<K extends TorchEvent["event"]> = Extract<TorchEvent, { event: K }>;

/** The events of one kind, in order. */
export function eventsOf<K extends TorchEvent["event"]>(
  events: readonly TorchEvent[],
  kind: K,
): TorchEventOf<K>[] {
  return events.filter((event): event is TorchEventOf<K> => event.event === kind);
}
