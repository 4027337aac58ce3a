import { z } from "zod";
import { dtypeSchema, slugSchema } from "./scalar.ts";

/** One way to install a missing program, by the package manager that the machine has. */
const installSchema = z.object({
  apt: z.string().optional(),
  dnf: z.string().optional(),
  pacman: z.string().optional(),
  apk: z.string().optional(),
  note: z.string().optional(),
});

/** A program that the target needs, and how its version is asked. */
const programSchema = z.object({
  program: z.string().regex(/^[A-Za-z0-9._+-]+$/),
  version_args: z.array(z.string()).default(["--version"]),
  needed_for: z.array(z.enum(["compile", "verify", "benchmark", "profile", "sandbox"])),
  optional: z.boolean().default(false),
  install: installSchema,
});

/**
 * How a source of one abstraction becomes something that runs. `command` is an argument vector, never a shell
 * string; `{source}`, `{shim}`, `{output}`, `{flags}`, `{include}` are replaced (flags expands to many arguments).
 */
const toolchainSchema = z.object({
  program: z.string(),
  extension: z.string().regex(/^\.[a-z]+$/),
  command: z.array(z.string()).min(1),
  default_flags: z.array(z.string()),
  /** A regular expression (anchored) that every flag a candidate asks for must match. */
  allowed_flags: z.array(z.string()),
  /** Flags of the named baselines, built from the definition's reference: reference, compiler-best. */
  baselines: z.record(slugSchema, z.array(z.string())).default({}),
  remarks_flags: z.array(z.string()).default([]),
});
export type Toolchain = z.infer<typeof toolchainSchema>;

export const memoryLevelSchema = z.object({
  name: z.string(),
  /** `probe` means: read from the machine. */
  bytes: z.union([z.int().positive(), z.literal("probe")]),
  scope: z.enum(["core", "shared", "device"]),
});

export const targetSpecSchema = z.object({
  id: slugSchema,
  title: z.string(),
  vendor: z.string(),
  kind: z.enum(["cpu", "gpu", "accelerator", "emulated"]),
  /** Targets whose documents, toolchains and constraints also hold here, nearest first. */
  inherits: z.array(slugSchema).default([]),
  description: z.string(),
  /** e.g. processor architecture as `process.arch` names it: the target runs only there. */
  requires: z
    .object({ arch: z.array(z.string()).optional(), os: z.array(z.string()).optional() })
    .default({}),
  isa_features: z
    .array(z.object({ name: z.string(), flag: z.string(), note: z.string().optional() }))
    .default([]),
  memory: z.array(memoryLevelSchema).default([]),
  programs: z.record(z.string(), programSchema).default({}),
  abstractions: z.record(slugSchema, toolchainSchema),
  /** Which harness runs the candidate, and what is measured. */
  run: z.object({ harness: z.enum(["native", "torch"]), metric: z.enum(["wall_time", "instructions"]) }),
  dtypes: z.array(dtypeSchema),
  profilers: z.array(z.object({ name: z.string(), program: z.string(), method: z.string() })).default([]),
  /** Peaks are measured on the machine and cached unless the vendor's figure is all there can be. */
  peaks: z.object({
    source: z.enum(["measured", "declared"]),
    declared: z.record(z.string(), z.number()).optional(),
  }),
  constraints: z.array(z.string()).default([]),
});
export type TargetSpec = z.infer<typeof targetSpecSchema>;

/** Measured on this machine, single thread and all threads. FLOP/s and bytes/s. */
export const peaksSchema = z.object({
  machine: z.string(),
  measured_at: z.string(),
  /** key `${dtype}.${isa}` e.g. `float32.avx2`; value FLOP/s on one core. */
  flops: z.record(z.string(), z.number()),
  /** key is the memory level's name (L1, L2, L3, DRAM): copy bandwidth in bytes/s (read + written), one core. */
  bandwidth: z.record(z.string(), z.number()),
  cores: z.int(),
  flops_all: z.record(z.string(), z.number()),
  bandwidth_all: z.record(z.string(), z.number()),
});
export type Peaks = z.infer<typeof peaksSchema>;

/** What `doctor` and target_list say about one target on this machine. */
export const targetStatusSchema = z.object({
  id: z.string(),
  title: z.string(),
  usable: z.boolean(),
  capabilities: z.object({
    compile: z.boolean(),
    verify: z.boolean(),
    benchmark: z.boolean(),
    profile: z.boolean(),
  }),
  sandbox: z.enum(["full", "limited"]),
  device: z.string(),
  checks: z.array(
    z.object({
      name: z.string(),
      ok: z.boolean(),
      optional: z.boolean(),
      detail: z.string(),
      /** The exact command that installs what is missing. */
      fix: z.string().optional(),
    }),
  ),
});
export type TargetStatus = z.infer<typeof targetStatusSchema>;
