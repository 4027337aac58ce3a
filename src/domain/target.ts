import { z } from "zod";
import { dtypeSchema, slugSchema } from "./scalar.ts";

/**
 * The form of hardware-docs/<target>/target.yaml and of what is found out about a target on this machine. Every mapping of
 * the spec is strict: a misspelt field is an error with its line, never an option that does nothing.
 */

/** Package names of one package manager, separated by blanks. They end up in a command line that people paste. */
const packagesSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9.+_:@/{}-]*( [A-Za-z0-9][A-Za-z0-9.+_:@/{}-]*)*$/,
    "must be package names, separated by single blanks",
  );

/** One way to install a missing program, by the package manager that the machine has. `{kernel}` becomes the kernel's release. */
const installSchema = z.strictObject({
  apt: packagesSchema.optional(),
  dnf: packagesSchema.optional(),
  zypper: packagesSchema.optional(),
  pacman: packagesSchema.optional(),
  apk: packagesSchema.optional(),
  brew: packagesSchema.optional(),
  /** Package names that differ on one distribution, by the ID of /etc/os-release (e.g. ubuntu). */
  distributions: z.record(slugSchema, packagesSchema).optional(),
  /** For what no package manager has: where to get it. */
  note: z.string().optional(),
});
export type Install = z.infer<typeof installSchema>;

/** A program that the target needs, and how its version is asked. */
const programSchema = z.strictObject({
  program: z.string().regex(/^[A-Za-z0-9._+-]+$/, "must be the name of a program on PATH, without a folder"),
  /** One argument that prints a version and does nothing else: it is run on sight of the spec, outside the sandbox. */
  version_args: z
    .array(
      z
        .string()
        .regex(
          /^(--?version|version|-[vV]|--help)$/,
          "must be --version, -version, version, -v, -V or --help",
        ),
    )
    .max(1)
    .default(["--version"]),
  needed_for: z.array(z.enum(["compile", "verify", "benchmark", "profile", "sandbox"])),
  optional: z.boolean().default(false),
  install: installSchema,
});
export type ProgramSpec = z.infer<typeof programSchema>;

/** An anchored regular expression, as text. */
const patternSchema = z.string().refine((text) => {
  try {
    return new RegExp(`^(?:${text})$`).source !== "";
  } catch {
    return false;
  }
}, "is not a valid regular expression");

/**
 * How a source of one abstraction becomes something that runs. `command` is an argument vector, never a shell
 * string; `{source}`, `{shim}`, `{output}`, `{flags}`, `{include}` are replaced (flags expands to many arguments).
 */
const toolchainSchema = z.strictObject({
  program: z.string(),
  extension: z.string().regex(/^\.[a-z]+$/),
  /** Native harness only; the torch harness hands the source to its own Python. */
  command: z.array(z.string()).default([]),
  default_flags: z.array(z.string()).default([]),
  /** A regular expression (anchored) that every flag a candidate asks for must match. */
  allowed_flags: z.array(patternSchema).default([]),
  /** Torch harness only: packages that the harness's Python must have, e.g. triton. */
  packages: z.array(z.string().regex(/^[A-Za-z0-9._-]+$/)).default([]),
  /** Torch harness only: whether candidates compile when they run, so that they may start compilers on a device. */
  compiles_when_run: z.boolean().default(false),
  /** Flags of the named baselines, built from the definition's reference: reference, compiler-best. */
  baselines: z.record(slugSchema, z.array(z.string())).default({}),
  remarks_flags: z.array(z.string()).default([]),
  /** A small source that compiles with these flags when the toolchain is whole (headers, libraries): `doctor` tries it. */
  probe: z.strictObject({ source: z.string(), flags: z.array(z.string()).default([]) }).optional(),
});
export type Toolchain = z.infer<typeof toolchainSchema>;

export const memoryLevelSchema = z.strictObject({
  name: z.string(),
  /** `probe` means: read from the machine. */
  bytes: z.union([z.int().positive(), z.literal("probe")], {
    error: 'must be a number of bytes, or "probe"',
  }),
  scope: z.enum(["core", "shared", "device"]),
});

const profilerSchema = z.strictObject({
  name: z.string(),
  program: z.string(),
  method: z.string(),
  /** What the machine must allow beside the program: `counters` are hardware performance counters. */
  requires: z.enum(["counters"]).optional(),
});

/** One number of the hardware, written once here; documents refer to it as `{{limits.<name>}}`. */
const limitSchema = z.strictObject({
  value: z.number(),
  /** e.g. bytes, registers, warps; said after the number. */
  unit: z.string().min(1),
  note: z.string().optional(),
  /** Title or address of the public document that says so. */
  source: z.string().min(1),
});
export type Limit = z.infer<typeof limitSchema>;

const factName = z.string().regex(/^[a-z0-9_]+(\.[a-z0-9_]+)*$/, "must be lower-case words joined by _ or .");

export const targetSpecSchema = z.strictObject({
  id: slugSchema,
  title: z.string(),
  vendor: z.string(),
  kind: z.enum(["cpu", "gpu", "accelerator", "emulated"]),
  /** A family (e.g. all devices of a vendor) that others inherit: it has documents and no device of its own. */
  family: z.boolean().default(false),
  /**
   * Targets whose documents, toolchains and constraints also hold here, nearest first. A loaded spec has the whole chain,
   * and the inherited fields filled in.
   */
  inherits: z.array(slugSchema).default([]),
  description: z.string(),
  /** e.g. processor architecture as `process.arch` names it: the target runs only there. */
  requires: z
    .strictObject({ arch: z.array(z.string()).optional(), os: z.array(z.string()).optional() })
    .default({}),
  /** Instruction sets; `flag` is the name that /proc/cpuinfo gives. */
  isa_features: z
    .array(z.strictObject({ name: z.string(), flag: z.string(), note: z.string().optional() }))
    .default([]),
  memory: z.array(memoryLevelSchema).default([]),
  programs: z.record(z.string(), programSchema).default({}),
  abstractions: z.record(slugSchema, toolchainSchema).default({}),
  /** Numbers of the hardware by name, e.g. `shared_memory_per_sm`. */
  limits: z.record(factName, limitSchema).default({}),
  /** Which harness runs the candidate, and what is measured. Without it the target has documents only. */
  run: z
    .strictObject({
      harness: z.enum(["native", "torch"]),
      metric: z.enum(["wall_time", "instructions"]),
      /** Torch harness only. `none`: candidates are compiled for it, and nothing is run. */
      device: z.enum(["cpu", "cuda", "none"]).optional(),
      /** Torch harness, device cuda: which devices are meant, by the name that the driver gives. */
      device_name: patternSchema.optional(),
      /** What is compiled for, as compilers name it, e.g. sm_90 or gfx942. */
      arch: z
        .string()
        .regex(/^[a-z]+_?[0-9a-z]+$/)
        .optional(),
    })
    .optional(),
  dtypes: z.array(dtypeSchema).min(1),
  profilers: z.array(profilerSchema).default([]),
  /** Peaks are measured on the machine and cached unless the vendor's figure is all there can be. */
  peaks: z
    .strictObject({
      source: z.enum(["measured", "declared", "none"]),
      /** `flops.<dtype>.<unit>` in operations a second (a multiply-add being two), `bandwidth.<level>` in bytes a second. */
      declared: z.record(factName, z.number().positive()).optional(),
      /** The public document that declares them. */
      from: z.string().optional(),
    })
    .default({ source: "none" }),
  constraints: z.array(z.string()).default([]),
});
export type TargetSpec = z.infer<typeof targetSpecSchema>;

const rates = z.record(z.string(), z.number().positive());

/** Measured on this machine, single thread and all threads. FLOP/s and bytes/s; upper bounds, each the best of many windows. */
export const peaksSchema = z.object({
  machine: z.string(),
  measured_at: z.string(),
  /**
   * key `${dtype}.${isa}` e.g. `float32.avx2`; value operations a second on one core, a multiply-add being two.
   * dtype is float32, float64, int32 or int8; isa is scalar, sse, avx2 or avx512.
   */
  flops: rates,
  /** key is the memory level's name (L1, L2, L3, DRAM): the best of `patterns`, bytes/s read + written, one core. */
  bandwidth: rates,
  cores: z.int().positive(),
  flops_all: rates,
  bandwidth_all: rates,
  /** By level, then by what is done: read, write, copy (1 read : 1 written), triad (2 read : 1 written). */
  patterns: z.record(z.string(), rates).optional(),
  patterns_all: z.record(z.string(), rates).optional(),
  /** Bytes of each level at the time of measuring; what is larger than the last cache lives in DRAM. */
  levels: z.record(z.string(), z.number().positive()).optional(),
});
export type Peaks = z.infer<typeof peaksSchema>;

const checkSchema = z.object({
  name: z.string(),
  ok: z.boolean(),
  optional: z.boolean(),
  detail: z.string(),
  /** The exact command that installs what is missing. */
  fix: z.string().optional(),
});
export type Check = z.infer<typeof checkSchema>;

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
  checks: z.array(checkSchema),
});
export type TargetStatus = z.infer<typeof targetStatusSchema>;

/** Everything `doctor` knows: the machine, where targets were looked for, each of them, and those that could not be read. */
export const doctorReportSchema = z.object({
  node: z.string(),
  system: z.string(),
  machine: z.object({
    model: z.string(),
    arch: z.string(),
    /** Processors this process may use, and physical cores where the machine tells. */
    cores: z.int(),
    physical_cores: z.int().optional(),
    /** The kind of virtual machine, `unknown` when only the processor says that it is one, null on bare metal. */
    hypervisor: z.string().nullable(),
    /** Bytes by level. */
    memory: z.record(z.string(), z.number()),
    package_manager: z.string().nullable(),
  }),
  sandbox: checkSchema,
  folders: z.array(z.object({ path: z.string(), targets: z.int() })),
  targets: z.array(targetStatusSchema),
  problems: z.array(z.object({ folder: z.string(), message: z.string(), fix: z.string().optional() })),
});
export type DoctorReport = z.infer<typeof doctorReportSchema>;
