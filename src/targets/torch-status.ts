import type { Check, TargetSpec, TargetStatus, Toolchain } from "../domain/index.ts";
import { type CudaDevice, TORCH_FIX, type TorchEnvironment } from "../platform/torch-environment.ts";

/** Devices of this machine that a target means. */
export function devicesOf(spec: TargetSpec, environment: TorchEnvironment): readonly CudaDevice[] {
  const wanted = spec.run?.device_name;
  if (spec.run?.device !== "cuda" || wanted === undefined) return [];
  const pattern = new RegExp(`^(?:${wanted})$`);
  return environment.devices.filter((device) => pattern.test(device.name));
}

/** How to get a compiler that a toolchain of the torch harness needs beside Python. */
export function compilerFix(program: string, environment: TorchEnvironment): string {
  const python = environment.python ?? "python3";
  return program === "nvcc"
    ? `${python} -m pip install nvidia-cuda-nvcc nvidia-cuda-runtime nvidia-cuda-cccl (of torch's CUDA version), or install the CUDA toolkit: nvcc on PATH, or CUDA_HOME`
    : "install g++ (apt-get install -y g++)";
}

/** Packages and programs that an abstraction needs and this machine lacks, and how to get them. */
export function abstractionLacks(
  toolchain: Toolchain,
  environment: TorchEnvironment,
): { missing: string[]; fix: string } {
  const packages = toolchain.packages.filter((one) => environment.packages[one] === undefined);
  const { program } = toolchain;
  const compiler = toolchain.extension !== ".py" && environment.tools[program] === undefined;
  const fixes = [
    ...(packages.length > 0
      ? [`${environment.python ?? "python3"} -m pip install ${packages.join(" ")}`]
      : []),
    ...(compiler ? [compilerFix(program, environment)] : []),
  ];
  return { missing: [...packages, ...(compiler ? [program] : [])], fix: fixes.join("; ") };
}

/** Which profilers of the target are here, and whether the driver lets them count. */
function profilerChecks(spec: TargetSpec, environment: TorchEnvironment): Check[] {
  return spec.profilers.flatMap(({ name }): Check[] => {
    const found = environment.profilers.find((one) => one.name === name);
    if (found === undefined) return [];
    const ok = found.ok !== false;
    return [
      {
        name: `profiler ${name}`,
        ok,
        optional: true,
        detail: found.detail,
        ...(ok || found.fix === null ? {} : { fix: found.fix }),
      },
    ];
  });
}

/** What a target of the torch harness lacks here: Python with torch, the packages of each abstraction, the device. */
export function torchChecks(
  spec: TargetSpec,
  environment: TorchEnvironment,
): { checks: Check[]; capabilities: TargetStatus["capabilities"] } {
  const python = environment.python !== undefined;
  const checks: Check[] = [
    {
      name: "python with torch",
      ok: python,
      optional: false,
      detail: environment.detail,
      ...(python ? {} : { fix: TORCH_FIX }),
    },
  ];
  let abstractions = 0;
  for (const [name, toolchain] of Object.entries(spec.abstractions)) {
    const { missing, fix } = abstractionLacks(toolchain, environment);
    if (python && missing.length === 0) abstractions += 1;
    const built = toolchain.extension !== ".py";
    if (toolchain.packages.length === 0 && !built) continue;
    const have = [
      ...toolchain.packages.map((one) => `${one} ${environment.packages[one] ?? "missing"}`),
      ...(built ? [`${toolchain.program} ${environment.tools[toolchain.program] ?? "missing"}`] : []),
    ];
    checks.push({
      name: `abstraction ${name}`,
      ok: python && missing.length === 0,
      optional: true,
      detail: python ? have.join(", ") : "needs Python with torch first",
      ...(python && missing.length > 0 ? { fix } : {}),
    });
  }
  const { device } = spec.run ?? {};
  const found = devicesOf(spec, environment);
  const present = device === "cpu" || found.length > 0;
  if (device === "cuda") {
    const others = environment.devices.map((one) => one.name).join(", ");
    checks.push({
      name: "device",
      ok: present,
      optional: true,
      detail: present
        ? found.map((one) => `${one.name} (capability ${one.capability})`).join(", ")
        : `no device of this kind here: ${others === "" ? environment.whyNoDevice : `there is ${others}`}; candidates can be compiled, not run`,
    });
  }
  if (device === "none")
    checks.push({
      name: "device",
      ok: false,
      optional: true,
      detail: "candidates are compiled for it ahead of time; nothing is run on it",
    });
  const compile = abstractions > 0;
  if (device === "cuda" && python) checks.push(...profilerChecks(spec, environment));
  const verify = compile && present;
  return {
    checks,
    capabilities: { compile, verify, benchmark: verify, profile: verify && spec.profilers.length > 0 },
  };
}
