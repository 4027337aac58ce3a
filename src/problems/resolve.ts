import {
  type Definition,
  DTYPE_BYTES,
  type Dtype,
  KernelEvolveError,
  type ResolvedTensor,
  type TensorSpec,
  type Tolerance,
  type Workload,
} from "../domain/index.ts";
import { constraintHolds, evaluateExpression } from "./expression.ts";
import { FillError, type ResolvedFill, resolveFill } from "./fill.ts";

export type { ResolvedFill } from "./fill.ts";

export interface ResolvedInput extends ResolvedTensor {
  readonly fill: ResolvedFill;
}

export interface ResolvedOutput extends ResolvedTensor {
  readonly tolerance: Tolerance;
}

/** A workload with its sizes known, on whatever target. */
export interface BoundWorkload {
  readonly uuid: string;
  readonly role: "timed" | "edge";
  /** All axes, const and var, in the definition's order. */
  readonly axes: readonly { readonly name: string; readonly value: number }[];
  readonly inputs: readonly ResolvedTensor[];
  readonly outputs: readonly ResolvedOutput[];
  /** Floating-point operations of one call, where the definition tells. */
  readonly flops: number | undefined;
  /** Bytes one call must move: every input read once and every output written once, or the definition's figure. */
  readonly bytes: number;
}

/** A workload with every number known: what the native harness is told. */
export interface ResolvedWorkload extends BoundWorkload {
  readonly inputs: readonly ResolvedInput[];
}

/** Most bytes one workload's tensors may take together. */
export const MAX_WORKLOAD_BYTES = 2 ** 31;

/**
 * Default tolerances. float32: a plain sum of n terms errs by about sqrt(n) * 6e-8 of its magnitude, so 2e-5 of the
 * output's root mean square leaves room to reorder and not to compute in a narrower type (bf16 errs by 4e-3, tf32 by 5e-4).
 */
export function defaultTolerance(dtype: Dtype): Tolerance {
  switch (dtype) {
    case "float64":
      return { rtol: 1e-10, atol_rms: 1e-11 };
    case "float32":
      return { rtol: 1e-4, atol_rms: 2e-5 };
    case "float16":
      return { rtol: 1e-2, atol_rms: 2e-3 };
    case "bfloat16":
      return { rtol: 2e-2, atol_rms: 1e-2 };
    case "float8_e4m3fn":
    case "float8_e5m2":
      return { rtol: 1e-1, atol_rms: 5e-2 };
    case "float4_e2m1":
      return { rtol: 2.5e-1, atol_rms: 1e-1 };
    default:
      return { rtol: 0, atol_rms: 0 };
  }
}

function fail(workload: Workload, message: string, fix?: string): KernelEvolveError {
  return new KernelEvolveError(
    "invalid_argument",
    `workload ${workload.uuid}: ${message}`,
    fix === undefined ? {} : { fix },
  );
}

/** `read`'s value; its errors say which workload and field they are about. */
function at<T>(workload: Workload, field: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof FillError) throw fail(workload, `${field}: ${error.message}`, error.fix);
    if (error instanceof KernelEvolveError) throw fail(workload, `${field}: ${error.message}`, error.fix);
    throw error;
  }
}

function axisValues(definition: Definition, workload: Workload): Map<string, number> {
  const values = new Map<string, number>();
  for (const [name, axis] of Object.entries(definition.axes)) {
    const given = Object.hasOwn(workload.axes, name) ? workload.axes[name] : undefined;
    if (axis.type === "const") {
      if (given !== undefined && given !== axis.value) {
        throw fail(workload, `axes.${name} is ${given}, but the definition fixes it at ${axis.value}`);
      }
      values.set(name, axis.value);
    } else {
      if (given === undefined)
        throw fail(workload, `axes.${name} is not bound`, `add "${name}" to the workload's axes`);
      values.set(name, given);
    }
  }
  for (const name of Object.keys(workload.axes)) {
    if (!values.has(name)) throw fail(workload, `axes.${name} is not an axis of ${definition.name}`);
  }
  return values;
}

/**
 * Whether a constraint is about values and not only sizes, as in "num_kv_indices == kv_indptr[-1].item()": it names an
 * input. Those are the reference's to check; sizes alone cannot.
 */
function aboutValues(constraint: string, definition: Definition): boolean {
  const names = constraint.match(/[A-Za-z_][A-Za-z0-9_]*/g) ?? [];
  return names.some((name) => Object.hasOwn(definition.inputs, name));
}

function bind(
  definition: Definition,
  workload: Workload,
): { bound: BoundWorkload; axes: Map<string, number> } {
  const axes = axisValues(definition, workload);
  for (const constraint of definition.constraints ?? []) {
    if (aboutValues(constraint, definition)) continue;
    if (!at(workload, "constraints", () => constraintHolds(constraint, axes)))
      throw fail(workload, `the constraint "${constraint}" does not hold`);
  }
  for (const name of Object.keys(workload.inputs)) {
    if (!Object.hasOwn(definition.inputs, name))
      throw fail(workload, `inputs.${name} is not an input of ${definition.name}`);
  }
  let total = 0;
  const tensor = ([name, spec]: [string, TensorSpec]): ResolvedTensor => {
    const shape =
      spec.shape?.map((axis) => {
        const size = axes.get(axis);
        if (size === undefined) throw fail(workload, `${name}.shape names the unknown axis "${axis}"`);
        return size;
      }) ?? null;
    const elements = shape === null ? 1 : shape.reduce((product, size) => product * size, 1);
    total += Math.ceil(elements * DTYPE_BYTES[spec.dtype]);
    if (!(total <= MAX_WORKLOAD_BYTES)) {
      throw fail(
        workload,
        `its tensors take more than ${MAX_WORKLOAD_BYTES} bytes (at ${name})`,
        "use smaller axes",
      );
    }
    return { name, dtype: spec.dtype, shape, elements };
  };
  const inputs = Object.entries(definition.inputs).map(tensor);
  const outputs = Object.entries(definition.outputs).map(([name, spec]): ResolvedOutput => {
    const own = definition.tolerance ?? {};
    const tolerance = (Object.hasOwn(own, name) ? own[name] : undefined) ?? defaultTolerance(spec.dtype);
    return { ...tensor([name, spec]), tolerance };
  });
  const cost = (field: "flops" | "bytes"): number | undefined => {
    const text = definition.cost?.[field];
    if (text === undefined) return undefined;
    const value = at(workload, `cost.${field}`, () => evaluateExpression(text, axes));
    if (value < 0) throw fail(workload, `cost.${field} is ${value}, below 0`);
    return value;
  };
  const bound = {
    uuid: workload.uuid,
    role: workload.role,
    axes: [...axes].map(([name, value]) => ({ name, value })),
    inputs,
    outputs,
    flops: cost("flops"),
    bytes: cost("bytes") ?? total,
  };
  return { bound, axes };
}

/**
 * Binds a workload on any target: shapes, tolerances and the cost of a call as numbers; how inputs are filled is not looked at.
 * @throws invalid_argument naming workload and field: unbound or unknown axes, broken constraints, sizes past 2 GiB.
 */
export function bindWorkload(definition: Definition, workload: Workload): BoundWorkload {
  return bind(definition, workload).bound;
}

/**
 * As `bindWorkload`, with the fill of every input, for the native harness.
 * @throws invalid_argument also when an input cannot be filled as the workload says.
 */
export function resolveWorkload(definition: Definition, workload: Workload): ResolvedWorkload {
  const { bound, axes } = bind(definition, workload);
  const inputs = bound.inputs.map((tensor): ResolvedInput => {
    const given = Object.hasOwn(workload.inputs, tensor.name) ? workload.inputs[tensor.name] : undefined;
    return { ...tensor, fill: at(workload, `inputs.${tensor.name}`, () => resolveFill(tensor, given, axes)) };
  });
  return { ...bound, inputs };
}
