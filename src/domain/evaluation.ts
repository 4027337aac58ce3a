import { z } from "zod";

/** Which part of the pipeline; each needs the ones before it. */
export const STAGES = ["compile", "verify", "benchmark", "profile"] as const;
export const stageSchema = z.enum(STAGES);
export type Stage = z.infer<typeof stageSchema>;

export const verdictSchema = z.enum(["passed", "flagged", "rejected"]);
export type Verdict = z.infer<typeof verdictSchema>;

export const statusSchema = z.enum([
  "ok",
  "compile_error",
  "runtime_error",
  "timeout",
  "wrong_answer",
  "tampered",
  "too_noisy",
  "unsupported",
  "infrastructure_error",
]);
export type Status = z.infer<typeof statusSchema>;

/** A machine-readable code with a sentence for people. Codes are listed in docs/threat-model.md. */
export const reasonSchema = z.object({
  code: z.string(),
  message: z.string(),
  workload: z.string().optional(),
});
export type Reason = z.infer<typeof reasonSchema>;

/** Times in nanoseconds on the judge's clock. */
export const timingSchema = z.object({
  median_ns: z.number(),
  p10_ns: z.number(),
  p90_ns: z.number(),
  samples: z.int(),
});
export type Timing = z.infer<typeof timingSchema>;

/** baseline time / candidate time: above 1 the candidate is faster. 95 % confidence interval [low, high]. */
export const speedupSchema = z.object({
  baseline: z.string(),
  ratio: z.number(),
  low: z.number(),
  high: z.number(),
  /** Credited only when verdict is passed, the interval excludes 1 beyond the noise floor, and grading allows. */
  credited: z.boolean(),
  workload: z.string().optional(),
});
export type Speedup = z.infer<typeof speedupSchema>;

export const workloadBenchmarkSchema = z.object({
  workload: z.string(),
  candidate: timingSchema,
  baselines: z.record(z.string(), timingSchema),
  speedups: z.array(speedupSchema),
  /** |median(A/A ratio) - 1| of the control in the same run: nothing below it is claimed. */
  noise_floor: z.number(),
  pairs: z.int(),
  pairs_rejected: z.int(),
  outcome: z.enum(["resolved", "too_noisy", "budget"]),
  roofline: z.number().optional(),
});
export type WorkloadBenchmark = z.infer<typeof workloadBenchmarkSchema>;

export const workloadVerificationSchema = z.object({
  workload: z.string(),
  trials: z.int(),
  passed: z.boolean(),
  /** Largest error over the tolerance (below 1 passes), and the baseline's own by the same measure. */
  worst_error: z.number().optional(),
  baseline_error: z.number().optional(),
  deterministic: z.boolean().optional(),
  failures: z.array(reasonSchema),
});
export type WorkloadVerification = z.infer<typeof workloadVerificationSchema>;

/** Stage results carry their wall time and, when long, the id of an artifact. */
const stageBase = {
  status: statusSchema,
  seconds: z.number(),
  cached: z.boolean(),
  artifacts: z.record(z.string(), z.string()),
};
/** What the compiler made of one kernel of a candidate, for the device that it was compiled for. */
export const compiledKernelSchema = z.object({
  name: z.string(),
  /** Of a thread (NVIDIA) or lane (AMD, vector registers). */
  registers: z.int().optional(),
  /** Bytes of a block. */
  shared_bytes: z.int().optional(),
  /** Bytes of a thread that go to memory for want of registers. */
  spill_bytes: z.int().optional(),
  /** Threads of a block. */
  threads: z.int().optional(),
  /** Share of the multiprocessor's warps that can be resident, by arithmetic on the target's limits. */
  occupancy: z.number().optional(),
  limited_by: z.array(z.string()).optional(),
  /** Limits of the target that it exceeds: it will not launch. */
  exceeds: z.array(z.string()),
});
export type CompiledKernel = z.infer<typeof compiledKernelSchema>;

export const compileStageSchema = z.object({
  ...stageBase,
  command: z.string().optional(),
  toolchain: z.string().optional(),
  /** First lines of the compiler's messages, control characters stripped. Untrusted text. */
  diagnostics: z.string().optional(),
  binary_bytes: z.int().optional(),
  kernels: z.array(compiledKernelSchema).optional(),
});
export type CompileStage = z.infer<typeof compileStageSchema>;
export const verifyStageSchema = z.object({ ...stageBase, workloads: z.array(workloadVerificationSchema) });
export type VerifyStage = z.infer<typeof verifyStageSchema>;
export const benchmarkStageSchema = z.object({
  ...stageBase,
  clock: z.string(),
  cache: z.enum(["cold", "warm"]),
  workloads: z.array(workloadBenchmarkSchema),
});
export type BenchmarkStage = z.infer<typeof benchmarkStageSchema>;

export const BOTTLENECKS = [
  "memory",
  "compute",
  "latency",
  "branch",
  "launch",
  "occupancy",
  "register",
  "bank-conflict",
  "divergence",
  "tail",
  "unvectorised",
  "unknown",
] as const;
export const diagnosisSchema = z.object({
  bottleneck: z.enum(BOTTLENECKS),
  /** One sentence with the figures that say so. */
  evidence: z.string(),
  advice: z.array(z.string()),
});
export type Diagnosis = z.infer<typeof diagnosisSchema>;
/** One kernel of a profiled call, as all profilers that saw it tell. */
export const profiledKernelSchema = z.object({
  name: z.string(),
  /** Launches in one call. */
  launches: z.number(),
  /** Of one call, all launches together. */
  microseconds: z.number(),
  /** Of the time that the device works, 0..1. */
  share: z.number(),
  /** Further figures by name: registers, spill_bytes, occupancy, dram_percent, ... */
  figures: z.record(z.string(), z.number()),
});
export type ProfiledKernel = z.infer<typeof profiledKernelSchema>;

export const profileStageSchema = z.object({
  ...stageBase,
  profiler: z.string(),
  /** What the figures are: "hardware counters" or "simulated instructions and cache". */
  method: z.string(),
  metrics: z.record(z.string(), z.number()),
  remarks: z.array(z.string()),
  /** On a device: what ran there in one call, most time first. */
  kernels: z.array(profiledKernelSchema).optional(),
  /** Share of a roof that was reached, 0..1, and by whose figures. */
  reached: z.object({ share: z.number(), bound: z.enum(["memory", "compute"]), by: z.string() }).optional(),
  /** Profilers that told nothing, why, and how to change that. */
  not_measured: z
    .array(z.object({ profiler: z.string(), reason: z.string(), fix: z.string().optional() }))
    .optional(),
  diagnosis: diagnosisSchema,
});
export type ProfileStage = z.infer<typeof profileStageSchema>;

/** Everything found out about one candidate: one JSON form in tool results, CLI, store and exports. */
export const evaluationRecordSchema = z.object({
  id: z.string(),
  /** sha256 of the candidate's source. */
  candidate: z.string(),
  problem: z.string(),
  target: z.string(),
  abstraction: z.string(),
  verdict: verdictSchema,
  status: statusSchema,
  reasons: z.array(reasonSchema),
  /** Over all timed workloads: geometric mean per baseline. */
  speedups: z.array(speedupSchema),
  /** Share of the machine's roofline reached, 0..1, geometric mean over timed workloads. */
  roofline: z.number().optional(),
  stages: z.object({
    compile: compileStageSchema.optional(),
    verify: verifyStageSchema.optional(),
    benchmark: benchmarkStageSchema.optional(),
    profile: profileStageSchema.optional(),
  }),
  /** What limits it, from the profile where there is one, else from the benchmark and the compiler's remarks. */
  diagnosis: diagnosisSchema.optional(),
  sandbox: z.enum(["full", "limited"]),
  device: z.string(),
  versions: z.record(z.string(), z.string()),
  created_at: z.string(),
  cached: z.boolean(),
});
export type EvaluationRecord = z.infer<typeof evaluationRecordSchema>;
