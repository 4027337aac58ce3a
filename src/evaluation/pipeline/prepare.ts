import {
  KernelEvolveError,
  type Problem,
  type TargetSpec,
  type Toolchain,
  type WorkContext,
} from "../../domain/index.ts";
import { canonicalJson, sha256 } from "../../platform/hash.ts";
import {
  checkNativeDefinition,
  kernelHeader,
  type ResolvedWorkload,
  resolveWorkload,
  shimSource,
} from "../../problems/native.ts";
import { deviceName, type Machine } from "../../targets/index.ts";
import { type Compiled, compile } from "../compile/compiler.ts";

/** Everything the native stages need of a problem on a target. */
export interface Prepared {
  readonly header: string;
  readonly shim: string;
  readonly workloads: readonly ResolvedWorkload[];
  readonly machineKey: string;
  readonly referenceToolchain: Toolchain;
}

/** The toolchain for an abstraction. @throws unsupported with those the target has. */
export function toolchainOf(spec: TargetSpec, abstraction: string): Toolchain {
  if (spec.run === undefined)
    throw new KernelEvolveError(
      "unsupported",
      `${spec.id} has documents only: nothing is compiled or run for it`,
      { fix: "target_list says which targets can be used here" },
    );
  if (spec.run.harness !== "native")
    throw new KernelEvolveError("unsupported", `${spec.id} is not run by the native harness`);
  const toolchain = Object.hasOwn(spec.abstractions, abstraction)
    ? spec.abstractions[abstraction]
    : undefined;
  if (toolchain === undefined) {
    throw new KernelEvolveError(
      "unsupported",
      `${spec.id} has no abstraction "${abstraction.slice(0, 60)}"`,
      {
        fix: `use one of ${Object.keys(spec.abstractions).join(", ")}`,
      },
    );
  }
  return toolchain;
}

/** Checks a problem for native targets and resolves its workloads. @throws invalid_argument or unsupported, naming the field. */
export function prepare(
  problem: Problem,
  spec: TargetSpec,
  machine: Machine,
  wanted: readonly string[] | undefined,
): Prepared {
  const { definition } = problem;
  checkNativeDefinition(definition);
  if (definition.reference_c === undefined) {
    throw new KernelEvolveError(
      "unsupported",
      `${definition.name} has no reference_c, which native targets verify against`,
      {
        fix: "add reference_c: the plain C loop with real_t for floating tensors",
      },
    );
  }
  const referenceToolchain = toolchainOf(spec, "c");
  const unknown = wanted?.find((uuid) => !problem.workloads.some((workload) => workload.uuid === uuid));
  if (unknown !== undefined) {
    throw new KernelEvolveError(
      "invalid_argument",
      `workloads: "${unknown.slice(0, 100)}" is not a workload of ${definition.name}`,
      {
        fix: `it has ${problem.workloads.map((workload) => workload.uuid).join(", ")}`,
      },
    );
  }
  const chosen =
    wanted === undefined
      ? problem.workloads
      : problem.workloads.filter((workload) => wanted.includes(workload.uuid));
  return {
    header: kernelHeader(definition),
    shim: shimSource(definition),
    workloads: chosen.map((workload) => resolveWorkload(definition, workload)),
    machineKey: sha256(canonicalJson([deviceName(machine), [...machine.flags].sort()])),
    referenceToolchain,
  };
}

export interface References {
  readonly oracle: Compiled;
  readonly baselines: readonly { readonly name: string; readonly object: Compiled }[];
}

/** Compiles the oracle and the named baselines from the definition's reference. @throws invalid_argument when it does not compile. */
export async function compileReferences(
  problem: Problem,
  prepared: Prepared,
  names: readonly string[],
  context: WorkContext,
): Promise<References> {
  const toolchain = prepared.referenceToolchain;
  const source = problem.definition.reference_c ?? "";
  const make = async (flags: readonly string[], what: string): Promise<Compiled> => {
    const made = await compile(
      {
        toolchain,
        source,
        header: prepared.header,
        shim: prepared.shim,
        flags: [...flags, "-DKE_REFERENCE"],
        machine: prepared.machineKey,
      },
      context,
    );
    if (!made.ok) {
      throw new KernelEvolveError(
        "invalid_argument",
        `reference_c of ${problem.definition.name} does not compile (${what}):\n${made.log.slice(0, 2000)}`,
        {
          fix: /#\s*include\s*"kernel\.h"/.test(source)
            ? "correct what the compiler names; real_t stands for the type of floating tensors"
            : 'begin it with #include "kernel.h", which declares the prototype, real_t and int64_t',
        },
      );
    }
    return made;
  };
  const [oracle, ...baselines] = await Promise.all([
    make(["-O2", "-DKE_ORACLE"], "as the oracle"),
    ...names.map((name) => {
      const flags = toolchain.baselines[name];
      if (flags === undefined) {
        throw new KernelEvolveError("invalid_argument", `baselines: "${name.slice(0, 60)}" is unknown`, {
          fix: `use ${Object.keys(toolchain.baselines).join(", ")}`,
        });
      }
      return make(flags, `baseline ${name}`);
    }),
  ]);
  return { oracle, baselines: names.map((name, index) => ({ name, object: baselines[index] ?? oracle })) };
}
