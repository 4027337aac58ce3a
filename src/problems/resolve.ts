import {
  type Definition,
  DTYPE_BYTES,
  type Dtype,
  type Generator,
  isFloat,
  KernelEvolveError,
  type ResolvedTensor,
  type Tolerance,
  type Workload,
} from "../domain/index.ts";
import { constraintHolds, evaluateExpression } from "./expression.ts";

/** How one input is filled, every bound a number. `structural` ones are left alone by hidden value transforms. */
export type ResolvedFill =
  | { readonly kind: "normal"; readonly mean: number; readonly std: number }
  | { readonly kind: "uniform"; readonly low: number; readonly high: number }
  | { readonly kind: "integers"; readonly low: number; readonly high: number }
  | { readonly kind: "sorted"; readonly low: number; readonly high: number }
  | { readonly kind: "offsets"; readonly total: number }
  | { readonly kind: "constant"; readonly value: number };

export interface ResolvedInput extends ResolvedTensor {
  readonly fill: ResolvedFill;
}

export interface ResolvedOutput extends ResolvedTensor {
  readonly tolerance: Tolerance;
}

/** A workload with every number known: what the harness is told. */
export interface ResolvedWorkload {
  readonly uuid: string;
  readonly role: "timed" | "edge";
  /** All axes, const and var, in the definition's order. */
  readonly axes: readonly { readonly name: string; readonly value: number }[];
  readonly inputs: readonly ResolvedInput[];
  readonly outputs: readonly ResolvedOutput[];
  /** Floating-point operations of one call, where the definition tells. */
  readonly flops: number | undefined;
  /** Bytes one call must move: every input read once and every output written once, or the definition's figure. */
  readonly bytes: number;
}

/** Most bytes one workload's tensors may take together. */
export const MAX_WORKLOAD_BYTES = 2 ** 31;

/**
 * Default tolerances. float32: a plain sum of n terms errs by about sqrt(n) * 6e-8 of its magnitude, so 1e-5 of the
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

function resolveFill(
  dtype: Dtype,
  scalar: number | undefined,
  generator: Generator | undefined,
  axes: ReadonlyMap<string, number>,
): ResolvedFill {
  if (scalar !== undefined) return { kind: "constant", value: scalar };
  if (generator === undefined) {
    if (isFloat(dtype)) return { kind: "normal", mean: 0, std: 1 };
    return { kind: "integers", low: 0, high: dtype === "bool" ? 1 : 100 };
  }
  switch (generator.distribution) {
    case "normal":
      return { kind: "normal", mean: generator.mean, std: generator.std };
    case "uniform":
      return { kind: "uniform", low: generator.low, high: generator.high };
    case "sorted":
      return { kind: "sorted", low: generator.low, high: generator.high };
    case "integers":
      return {
        kind: "integers",
        low: Math.trunc(evaluateExpression(generator.low, axes)),
        high: Math.trunc(evaluateExpression(generator.high, axes)),
      };
    case "offsets":
      return { kind: "offsets", total: evaluateExpression(generator.total, axes) };
    case "constant":
      return { kind: "constant", value: generator.value };
  }
}

/**
 * Binds a workload: shapes, fills, tolerances and the cost of a call as numbers.
 * @throws invalid_argument naming workload and field: unbound or unknown axes, broken constraints, sizes past 2 GiB.
 */
export function resolveWorkload(definition: Definition, workload: Workload): ResolvedWorkload {
  const axes = axisValues(definition, workload);
  for (const constraint of definition.constraints ?? []) {
    if (!constraintHolds(constraint, axes))
      throw fail(workload, `the constraint "${constraint}" does not hold`);
  }
  for (const name of Object.keys(workload.inputs)) {
    if (!Object.hasOwn(definition.inputs, name))
      throw fail(workload, `inputs.${name} is not an input of ${definition.name}`);
  }
  let total = 0;
  const tensor = (name: string, dtype: Dtype, shape: readonly string[] | null): ResolvedTensor => {
    const dims = shape === null ? null : shape.map((axis) => axes.get(axis) ?? Number.NaN);
    const elements = dims === null ? 1 : dims.reduce((product, dim) => product * dim, 1);
    total += elements * DTYPE_BYTES[dtype];
    if (!(total <= MAX_WORKLOAD_BYTES)) {
      throw fail(
        workload,
        `tensors take more than ${MAX_WORKLOAD_BYTES} bytes (at ${name})`,
        "use smaller axes",
      );
    }
    return { name, dtype, shape: dims, elements };
  };
  const inputs = Object.entries(definition.inputs).map(([name, spec]): ResolvedInput => {
    const given = workload.inputs[name];
    if (given?.type === "safetensors") {
      throw new KernelEvolveError(
        "unsupported",
        `workload ${workload.uuid}: inputs.${name} is a safetensors file; native targets generate their inputs`,
        {
          fix: 'use {"type":"random"} or {"type":"scalar"}',
        },
      );
    }
    const scalar = given?.type === "scalar" ? given.value : undefined;
    if (spec.shape === null && scalar === undefined)
      throw fail(workload, `inputs.${name} is a scalar and needs a value`);
    const generator = given?.type === "random" ? given.generator : undefined;
    return {
      ...tensor(name, spec.dtype, spec.shape),
      fill: resolveFill(spec.dtype, scalar, generator, axes),
    };
  });
  const outputs = Object.entries(definition.outputs).map(
    ([name, spec]): ResolvedOutput => ({
      ...tensor(name, spec.dtype, spec.shape),
      tolerance: definition.tolerance?.[name] ?? defaultTolerance(spec.dtype),
    }),
  );
  const cost = definition.cost;
  return {
    uuid: workload.uuid,
    role: workload.role,
    axes: [...axes].map(([name, value]) => ({ name, value })),
    inputs,
    outputs,
    flops: cost === undefined ? undefined : evaluateExpression(cost.flops, axes),
    bytes: cost?.bytes === undefined ? total : evaluateExpression(cost.bytes, axes),
  };
}
