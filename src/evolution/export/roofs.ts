import { errorMessage } from "../../domain/errors.ts";
import type { WorkContext } from "../../domain/job.ts";
import type { Problem } from "../../domain/problem.ts";
import { type Dtype, isFloat } from "../../domain/scalar.ts";
import type { TargetService } from "../../domain/services.ts";
import type { TargetSpec } from "../../domain/target.ts";

/** One limit by its name: operations or bytes a second. */
export interface Roof {
  readonly name: string;
  readonly value: number;
}

/** What bounds a problem's kernels on a target. */
export interface Roofs {
  /** Rates of the problem's data types, the highest first; never empty. */
  readonly flops: readonly Roof[];
  /** Bandwidths of the memory levels; never empty. */
  readonly bandwidth: readonly Roof[];
  /** Whose figures they are, to go after "against". */
  readonly whose: string;
  /** The public document that declares them; undefined where they are measured. */
  readonly from: string | undefined;
}

/** Roofs, or why there are none in one sentence for the reader. */
export type RoofsFound = { readonly roofs: Roofs } | { readonly missing: string };

/**
 * The roofs for a problem on a target: measured on this machine, or the vendor's where the target declares them.
 * `device`: the name of the device that was measured on, as the evaluation record gives it.
 */
export async function roofsOf(
  targets: TargetService,
  target: TargetSpec,
  problem: Problem,
  device: string,
  context: WorkContext,
): Promise<RoofsFound> {
  const dtypes = dtypesOf(problem);
  if (target.peaks.source === "none") return { missing: `target ${target.id} states no peaks` };
  if (target.peaks.source === "declared") return declaredRoofs(target, dtypes, device);
  try {
    const peaks = await targets.peaks(target.id, context);
    const kinds = new Set(dtypes.map(measuredKind));
    const flops = sorted(peaks.flops).filter(({ name }) => kinds.has(name.split(".", 1)[0] ?? ""));
    return complete(flops, sorted(peaks.bandwidth), "the measured peaks of one core", target, dtypes);
  } catch (error) {
    if (context.signal.aborted) throw error;
    return { missing: `the machine's peaks could not be measured (${errorMessage(error)})` };
  }
}

/** Data types of a problem's tensors. */
function dtypesOf({ definition }: Problem): Dtype[] {
  const tensors = [...Object.values(definition.inputs), ...Object.values(definition.outputs)];
  return [...new Set(tensors.map((tensor) => tensor.dtype))];
}

/** The data type by whose rate the machine's peaks are measured. */
function measuredKind(dtype: Dtype): string {
  if (!isFloat(dtype)) return "int32";
  return dtype === "float64" ? "float64" : "float32";
}

function declaredRoofs(target: TargetSpec, dtypes: readonly Dtype[], device: string): RoofsFound {
  const roofs = forDevice(target.peaks.declared ?? {}, device);
  if (roofs === undefined)
    return { missing: `the peaks that target ${target.id} declares are of other devices than ${device}` };
  // Tensor cores multiply float32 as TF32 where a candidate lets them.
  const kinds = new Set<string>([...dtypes, ...(dtypes.includes("float32") ? ["tf32"] : [])]);
  const flops = roofs.flops.filter(({ name }) => kinds.has(name.split(".", 1)[0] ?? ""));
  return complete(flops, roofs.bandwidth, "the vendor's peaks of one device", target, dtypes);
}

function complete(
  flops: readonly Roof[],
  bandwidth: readonly Roof[],
  whose: string,
  target: TargetSpec,
  dtypes: readonly Dtype[],
): RoofsFound {
  if (flops.length === 0)
    return { missing: `${whose} have no rate for ${dtypes.join(", ")} on target ${target.id}` };
  if (bandwidth.length === 0) return { missing: `${whose} have no bandwidth on target ${target.id}` };
  return { roofs: { flops, bandwidth, whose, from: target.peaks.from } };
}

function sorted(rates: Readonly<Record<string, number>>): Roof[] {
  return Object.entries(rates)
    .map(([name, value]) => ({ name, value }))
    .sort((a, b) => b.value - a.value);
}

/**
 * Declared figures as roofs. A target of several devices declares each of them with the device after the last underscore
 * (`bandwidth.dram_l4`, `bandwidth.dram_l40s`): then only those of this device count, undefined when it is none of them.
 */
function forDevice(
  declared: Readonly<Record<string, number>>,
  device: string,
): { flops: Roof[]; bandwidth: Roof[] } | undefined {
  const under = (group: string): Roof[] =>
    sorted(declared).flatMap(({ name, value }) =>
      name.startsWith(`${group}.`) ? [{ name: name.slice(group.length + 1), value }] : [],
    );
  const [flops, bandwidth] = [under("flops"), under("bandwidth")];
  const known = devicesOf(bandwidth);
  if (known.length === 0) return { flops, bandwidth };
  const plain = device.toLowerCase().replace(/[^a-z0-9]/g, "");
  const mine = known.filter((name) => plain.includes(name)).sort((a, b) => b.length - a.length)[0];
  if (mine === undefined) return undefined;
  const own = (roofs: readonly Roof[]): Roof[] =>
    roofs.flatMap(({ name, value }) =>
      name.endsWith(`_${mine}`) ? [{ name: name.slice(0, -mine.length - 1), value }] : [],
    );
  return { flops: own(flops), bandwidth: own(bandwidth) };
}

/** Devices that the levels are named after: last words of names that differ in nothing else. */
function devicesOf(levels: readonly Roof[]): string[] {
  const split = levels.flatMap(({ name }) => {
    const at = name.lastIndexOf("_");
    return at < 0 ? [] : [{ level: name.slice(0, at), device: name.slice(at + 1) }];
  });
  return split
    .filter(({ level }) => split.filter((other) => other.level === level).length > 1)
    .map(({ device }) => device);
}
