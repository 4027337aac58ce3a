import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  candidateSourceSchema,
  type EvaluateOptions,
  KernelEvolveError,
  type Problem,
  type Replacement,
  type Stage,
  type TargetSpec,
  type Toolchain,
  type WorkContext,
} from "../../domain/index.ts";
import { canonicalJson, sha256 } from "../../platform/hash.ts";
import type { SandboxProbe } from "../../platform/sandbox-probe.ts";
import { TORCH_FIX, type TorchEnvironment, torchTools } from "../../platform/torch-environment.ts";
import { abstractionLacks, devicesOf, type Machine } from "../../targets/index.ts";
import type { EvaluateInput } from "../pipeline/plan.ts";
import { DEFAULT_STAGES, secondsOf, stagesOf } from "../pipeline/request.ts";
import { tunedSource } from "./tunables.ts";

/** One candidate on its way through the stages: everything checked, nothing run. */
export interface TorchWork {
  readonly source: string;
  readonly problem: Problem;
  readonly spec: TargetSpec;
  readonly abstraction: string;
  readonly toolchain: Toolchain;
  /** As torch names it: `cpu` or `cuda:0`; undefined where nothing is run. */
  readonly device: string | undefined;
  readonly deviceName: string;
  readonly wanted: readonly string[] | undefined;
  /** An edited text in the place of what the compiler made of a kernel. */
  readonly replace: Replacement | undefined;
  readonly baselines: readonly string[];
  readonly stages: readonly Stage[];
  readonly seconds: number;
  readonly environment: TorchEnvironment;
  readonly python: string;
  readonly sandbox: SandboxProbe;
  readonly context: WorkContext;
}

/** The device that a target means on this machine, as torch names it. @throws unsupported, with what would do. */
export function torchDevice(
  spec: TargetSpec,
  environment: TorchEnvironment,
  machineName: string,
): { device: string; name: string } | undefined {
  if (spec.run?.device === "cpu") return { device: "cpu", name: machineName };
  const [first] = devicesOf(spec, environment);
  return first === undefined ? undefined : { device: `cuda:${first.index}`, name: first.name };
}

/** @throws missing_tool when no Python with torch is here. */
export function pythonOf(environment: TorchEnvironment): string {
  if (environment.python !== undefined) return environment.python;
  throw new KernelEvolveError("missing_tool", `no Python with PyTorch: ${environment.detail}`, {
    fix: TORCH_FIX,
  });
}

/** The language that a candidate is built from before it can be loaded; undefined for Python. */
export function languageOf(toolchain: Toolchain): "cuda" | "cpp" | undefined {
  if (toolchain.extension === ".py") return undefined;
  return toolchain.extension === ".cu" ? "cuda" : "cpp";
}

function toolchainOf(spec: TargetSpec, abstraction: string, environment: TorchEnvironment): Toolchain {
  const found = Object.hasOwn(spec.abstractions, abstraction) ? spec.abstractions[abstraction] : undefined;
  if (found === undefined) {
    throw new KernelEvolveError(
      "unsupported",
      `${spec.id} has no abstraction "${abstraction.slice(0, 60)}"`,
      { fix: `use one of ${Object.keys(spec.abstractions).join(", ")}` },
    );
  }
  const { missing, fix } = abstractionLacks(found, environment);
  if (missing.length > 0) {
    throw new KernelEvolveError(
      "missing_tool",
      `${abstraction} needs ${missing.join(", ")}, which ${environment.python ?? "Python"} does not find`,
      { fix },
    );
  }
  return found;
}

/** Checks a request for a target of the torch harness and resolves it. @throws invalid_argument, unsupported or missing_tool. */
export function planTorch(
  input: EvaluateInput,
  options: EvaluateOptions,
  place: {
    spec: TargetSpec;
    machine: Machine;
    machineName: string;
    environment: TorchEnvironment;
    sandbox: SandboxProbe;
  },
  context: WorkContext,
): TorchWork {
  const { spec, environment } = place;
  const { problem } = input;
  const checked = candidateSourceSchema.safeParse(input.source);
  if (!checked.success)
    throw new KernelEvolveError(
      "invalid_argument",
      `source: ${checked.error.issues[0]?.message ?? "not usable"}`,
    );
  const python = pythonOf(environment);
  const toolchain = toolchainOf(spec, input.abstraction, environment);
  const source = tunedSource(input.source, options.tunables, toolchain);
  if (problem.origin === undefined && problem.definition.reference === undefined) {
    throw new KernelEvolveError(
      "unsupported",
      `${problem.definition.name} has no Python reference, which targets with PyTorch verify against`,
      { fix: "add `reference`: Python source with a function run that returns the outputs" },
    );
  }
  checkWanted(problem, options.workloads);
  if (options.replace !== undefined) checkReplace(spec, input.abstraction, options.stages);
  const baselines = options.baselines ?? Object.keys(toolchain.baselines);
  const unknown = baselines.find((name) => !Object.hasOwn(toolchain.baselines, name));
  if (unknown !== undefined)
    throw new KernelEvolveError("invalid_argument", `baselines: "${unknown.slice(0, 60)}" is unknown`, {
      fix: `use ${Object.keys(toolchain.baselines).join(", ")}`,
    });
  const asked = options.stages ?? DEFAULT_STAGES;
  // A profile is read from the verified call and the measurement: it needs both.
  const stages = stagesOf(asked.includes("profile") ? [...asked, "benchmark"] : asked);
  const found = torchDevice(spec, environment, place.machineName);
  if (found === undefined && stages.some((stage) => stage !== "compile")) {
    const why =
      spec.run?.device === "none"
        ? `${spec.id} is compiled for, not run`
        : `no ${spec.title} here: ${environment.devices.map((one) => one.name).join(", ") || environment.whyNoDevice}`;
    throw new KernelEvolveError("unsupported", why, {
      fix: "kernel_compile works without the device; torch-cpu tells whether the kernel is right (Triton through its interpreter)",
    });
  }
  return {
    source,
    problem,
    spec,
    abstraction: input.abstraction,
    toolchain,
    device: found?.device,
    deviceName: found?.name ?? `none (compiled for ${spec.run?.arch ?? spec.id})`,
    wanted: options.workloads,
    replace: options.replace,
    // The judge takes eager first: the others are compared in the same rounds.
    baselines: ["eager", ...baselines.filter((name) => name !== "eager")],
    stages,
    seconds: secondsOf(options),
    environment,
    python,
    sandbox: place.sandbox,
    context,
  };
}

/** @throws unsupported where an edited text cannot be compiled, or what was made of it cannot be run. */
function checkReplace(spec: TargetSpec, abstraction: string, stages: readonly Stage[] | undefined): void {
  const compileOnly = stages?.every((stage) => stage === "compile") === true;
  if (spec.run?.arch === undefined || !(abstraction === "triton" || abstraction === "cuda"))
    throw new KernelEvolveError(
      "unsupported",
      `replace: ${abstraction} on ${spec.id} is not compiled to PTX or AMDGCN`,
      { fix: "use abstraction triton (or cuda, to compile only) on a GPU target, or leave replace out" },
    );
  if (abstraction === "cuda" && !compileOnly)
    throw new KernelEvolveError(
      "unsupported",
      "replace: an edited text of a CUDA candidate is compiled, not run",
      {
        fix: "use kernel_compile, or write the kernel in Triton, whose launches take the edited text",
      },
    );
}

function checkWanted(problem: Problem, wanted: readonly string[] | undefined): void {
  if (wanted === undefined) return;
  const unknown = wanted.find((uuid) => !problem.workloads.some((one) => one.uuid === uuid));
  if (unknown !== undefined)
    throw new KernelEvolveError(
      "invalid_argument",
      `workloads: "${unknown.slice(0, 100)}" is not a workload of ${problem.definition.name}`,
      {
        fix: `it has ${problem.workloads.map((one) => one.uuid).join(", ")}`,
      },
    );
  if (problem.origin !== undefined && wanted.length < problem.workloads.length)
    throw new KernelEvolveError(
      "unsupported",
      `workloads: ${problem.origin.format} problems are judged on all of theirs`,
      {
        fix: "leave workloads out",
      },
    );
}

let judgeHash: string | undefined;

/** Hash over the judge's sources: another judge may find something else. */
export function torchJudgeHash(): string {
  if (judgeHash === undefined) {
    const root = join(torchTools, "ke_torch");
    const hash = createHash("sha256");
    for (const name of readdirSync(root, { recursive: true, encoding: "utf8" }).sort())
      if (name.endsWith(".py")) hash.update(name).update(readFileSync(join(root, name)));
    judgeHash = hash.digest("hex");
  }
  return judgeHash;
}

/** What the answer depends on, as one hash: equal keys would find out the same again. */
export function torchKey(work: TorchWork): string {
  return sha256(
    canonicalJson([
      work.source,
      work.problem.content_hash,
      work.spec,
      work.abstraction,
      work.stages,
      work.wanted ?? null,
      work.replace ?? null,
      work.baselines,
      work.stages.includes("benchmark") ? work.seconds : 0,
      work.environment.packages,
      languageOf(work.toolchain) === undefined ? null : work.environment.tools,
      work.environment.version,
      work.stages.includes("profile") ? work.environment.profilers : null,
      work.deviceName,
      torchJudgeHash(),
      work.sandbox.kind,
    ]),
  );
}
