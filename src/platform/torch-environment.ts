import { join } from "node:path";
import { z } from "zod";
import { cacheHome, packageRoot } from "./paths.ts";
import { runProcess } from "./subprocess.ts";
import { plainText } from "./text.ts";
import { which } from "./which.ts";

/** The Python programs that judge PyTorch, Triton and CUDA candidates (tools/torch). */
export const torchTools: string = join(packageRoot, "tools", "torch");

/** Said wherever Python with PyTorch is missing. */
export const TORCH_FIX = "kernelevolve setup torch";

const probeSchema = z.object({
  python: z.string(),
  executable: z.string(),
  prefixes: z.array(z.string()),
  packages: z.record(z.string(), z.string()),
  tools: z.record(z.string(), z.string()),
  devices: z.array(
    z.object({ index: z.int(), name: z.string(), capability: z.string(), memory: z.number() }),
  ),
  why_no_device: z.string(),
  profilers: z.array(
    z.object({
      name: z.string(),
      ok: z.boolean().nullable(),
      detail: z.string(),
      fix: z.string().nullable(),
    }),
  ),
});

export type CudaDevice = z.infer<typeof probeSchema>["devices"][number];
/** A profiler of devices; `ok` is null where only trying tells whether the driver lets it count. */
export type DeviceProfiler = z.infer<typeof probeSchema>["profilers"][number];

/** A Python with what it has, or why there is none. */
export interface TorchEnvironment {
  /** Path of the interpreter; undefined where none has torch. */
  readonly python: string | undefined;
  readonly version: string;
  /** Folders that belong to the interpreter: a sandbox has to show them. */
  readonly prefixes: readonly string[];
  /** Versions by package: torch, triton, numpy, nvidia-cutlass-dsl. */
  readonly packages: Readonly<Record<string, string>>;
  /** Paths of compilers by name, of those that this Python finds: nvcc, g++. */
  readonly tools: Readonly<Record<string, string>>;
  readonly devices: readonly CudaDevice[];
  readonly whyNoDevice: string;
  readonly profilers: readonly DeviceProfiler[];
  /** In words, what was found or is missing. */
  readonly detail: string;
}

/** The private environment that `kernelevolve setup torch` makes: one for all data homes. */
export function privateTorchFolder(): string {
  return join(cacheHome(), "torch-env");
}

/** Interpreters in the order they are tried. KERNELEVOLVE_PYTHON alone counts where it is set. */
export function pythonCandidates(): string[] {
  const named = process.env["KERNELEVOLVE_PYTHON"];
  if (named !== undefined && named !== "") return [named];
  const system = which("python3");
  return [join(privateTorchFolder(), "bin", "python"), ...(system === undefined ? [] : [system])];
}

/** Variables that every Python of ours gets: nothing of the caller's environment but what finds drivers and compilers. */
export function pythonEnvironment(): Record<string, string> {
  const passed = [
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_HOME",
    "CUDA_PATH",
    "NVIDIA_VISIBLE_DEVICES",
  ];
  return {
    PYTHONPATH: torchTools,
    PYTHONDONTWRITEBYTECODE: "1",
    PYTHONSAFEPATH: "1",
    HOME: "/tmp",
    ...Object.fromEntries(
      passed.flatMap((name) => {
        const value = process.env[name];
        return value === undefined ? [] : [[name, value]];
      }),
    ),
  };
}

const PROBE_MS = 60_000;
let known: Promise<TorchEnvironment> | undefined;

/** The first Python that has torch, and what else it has. Kept for the life of the process unless `fresh`. Imports nothing heavy. */
export function probeTorch(options: { fresh?: boolean } = {}): Promise<TorchEnvironment> {
  if (options.fresh === true) known = undefined;
  known ??= find();
  return known;
}

async function find(): Promise<TorchEnvironment> {
  const failures: string[] = [];
  let withoutTorch: TorchEnvironment | undefined;
  for (const python of pythonCandidates()) {
    const found = await ask(python);
    if (typeof found === "string") {
      failures.push(found);
      continue;
    }
    if (found.packages["torch"] !== undefined) return found;
    withoutTorch ??= { ...found, python: undefined, detail: `${python} has no torch` };
  }
  return (
    withoutTorch ?? {
      python: undefined,
      version: "",
      prefixes: [],
      packages: {},
      tools: {},
      devices: [],
      profilers: [],
      whyNoDevice: "not looked for: there is no Python to ask the driver with",
      detail: failures.join("; ") || "there is no python3",
    }
  );
}

async function ask(python: string): Promise<TorchEnvironment | string> {
  const path = python.includes("/") ? python : which(python);
  if (path === undefined) return `${python} is not on PATH`;
  try {
    const result = await runProcess({
      argv: [path, "-B", "-m", "ke_torch.probe"],
      timeoutMs: PROBE_MS,
      env: pythonEnvironment(),
    });
    if (result.code !== 0) return `${path} does not work: ${plainText(result.stderr, 300).trim()}`;
    const found = probeSchema.parse(JSON.parse(result.stdout));
    const packages = Object.entries(found.packages).map(([name, version]) => `${name} ${version}`);
    return {
      python: path,
      version: found.python,
      prefixes: found.prefixes,
      packages: found.packages,
      tools: found.tools,
      devices: found.devices,
      whyNoDevice: found.why_no_device,
      profilers: found.profilers,
      detail: `Python ${found.python} with ${packages.join(", ") || "none of the packages"} (${path})`,
    };
  } catch {
    return `${path} is not there or does not start`;
  }
}
