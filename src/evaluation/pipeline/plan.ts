import { availableParallelism } from "node:os";
import {
  candidateSourceSchema,
  type EvaluateOptions,
  KernelEvolveError,
  type Problem,
  type Stage,
  type TargetSpec,
  type Toolchain,
  type WorkContext,
} from "../../domain/index.ts";
import { canonicalJson, sha256 } from "../../platform/hash.ts";
import { probeSandbox } from "../../platform/sandbox-probe.ts";
import type { Machine } from "../../targets/index.ts";
import { applyTunables, definesOf, parseHeader } from "../candidate/header.ts";
import { compilerVersion } from "../compile/compiler.ts";
import { checkFlags, threadsOf } from "../compile/flags.ts";
import { harnessHash } from "../native/programs.ts";
import { type Prepared, prepare, toolchainOf } from "./prepare.ts";
import { DEFAULT_STAGES, secondsOf, stagesOf } from "./request.ts";

/** One candidate on its way through the stages: everything checked, nothing run. */
export interface Work {
  readonly source: string;
  readonly problem: Problem;
  readonly spec: TargetSpec;
  readonly machine: Machine;
  readonly abstraction: string;
  readonly toolchain: Toolchain;
  readonly flags: readonly string[];
  readonly threads: number;
  readonly prepared: Prepared;
  /** Workload uuids asked for; undefined: all. */
  readonly wanted: readonly string[] | undefined;
  readonly baselines: readonly string[];
  readonly stages: readonly Stage[];
  /** Of the whole benchmark stage. */
  readonly seconds: number;
  readonly context: WorkContext;
}

export interface EvaluateInput {
  readonly source: string;
  readonly problem: Problem;
  readonly target: string;
  readonly abstraction: string;
}

/**
 * Checks a request and resolves it. The tunables asked for are written into the source's header first, so that the source alone says
 * what is built.
 * @throws invalid_argument or unsupported, naming the argument.
 */
export function planWork(
  input: EvaluateInput,
  options: EvaluateOptions,
  place: { spec: TargetSpec; machine: Machine },
  context: WorkContext,
): Work {
  const { spec, machine } = place;
  const checked = candidateSourceSchema.safeParse(input.source);
  if (!checked.success)
    throw new KernelEvolveError(
      "invalid_argument",
      `source: ${checked.error.issues[0]?.message ?? "not usable"}`,
    );
  const toolchain = toolchainOf(spec, input.abstraction);
  const source =
    options.tunables === undefined ? input.source : applyTunables(input.source, options.tunables);
  const header = parseHeader(source);
  const asked = header.flags ?? toolchain.default_flags;
  checkFlags(asked, toolchain);
  checkFlags(header.tunableFlags, toolchain);
  const prepared = prepare(input.problem, spec, machine, options.workloads);
  const baselines = options.baselines ?? Object.keys(prepared.referenceToolchain.baselines);
  const stages = stagesOf(options.stages ?? DEFAULT_STAGES);
  if (stages.includes("benchmark") && baselines.length === 0)
    throw new KernelEvolveError("invalid_argument", "baselines: a benchmark needs at least one");
  return {
    source,
    problem: input.problem,
    spec,
    machine,
    abstraction: input.abstraction,
    toolchain,
    flags: [...asked, ...definesOf(header)],
    threads: threadsOf(asked, availableParallelism()),
    prepared,
    wanted: options.workloads,
    baselines,
    stages,
    seconds: secondsOf(options),
    context,
  };
}

/** What the answer depends on, as one hash: equal keys would find out the same again. */
export async function evaluationKey(work: Work): Promise<string> {
  return sha256(
    canonicalJson([
      work.source,
      work.problem.content_hash,
      work.spec,
      work.abstraction,
      work.stages,
      work.wanted ?? null,
      work.baselines,
      work.stages.includes("benchmark") ? work.seconds : 0,
      await compilerVersion(work.toolchain.program),
      harnessHash(),
      (await probeSandbox()).kind,
      work.prepared.machineKey,
    ]),
  );
}
