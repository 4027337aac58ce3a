import {
  type Dtype,
  type Generator,
  isFloat,
  type ResolvedTensor,
  type WorkloadInput,
} from "../domain/index.ts";
import { evaluateExpression } from "./expression.ts";

/** How one input is filled, every bound a number. */
export type ResolvedFill =
  | { readonly kind: "normal"; readonly mean: number; readonly std: number }
  | { readonly kind: "uniform"; readonly low: number; readonly high: number }
  | { readonly kind: "integers"; readonly low: number; readonly high: number }
  | { readonly kind: "sorted"; readonly low: number; readonly high: number }
  | { readonly kind: "offsets"; readonly total: number }
  | { readonly kind: "constant"; readonly value: number };

/** An input that cannot be filled as asked: what is wrong, and what to write instead. */
export class FillError extends Error {
  override readonly name = "FillError";
  readonly fix: string | undefined;

  constructor(message: string, fix?: string) {
    super(message);
    this.fix = fix;
  }
}

/** Whole numbers each dtype holds; those of int64 only as far as JSON numbers are exact. */
const RANGES: ReadonlyMap<Dtype, readonly [number, number]> = new Map([
  ["bool", [0, 1]],
  ["uint8", [0, 255]],
  ["int8", [-128, 127]],
  ["int16", [-32_768, 32_767]],
  ["int32", [-(2 ** 31), 2 ** 31 - 1]],
  ["int64", [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]],
  // Floats hold every whole number up to 2 to the bits of their significand.
  ["float32", [-(2 ** 24), 2 ** 24]],
  ["float64", [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]],
]);

/** The harness draws integers from 32 random bits. */
const MAX_SPAN = 2 ** 32;

function whole(value: number, dtype: Dtype, what: string): number {
  const [low, high] = RANGES.get(dtype) ?? [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];
  if (!Number.isInteger(value)) throw new FillError(`${what} is ${value}, which is no whole number`);
  if (value < low || value > high) throw new FillError(`${what} is ${value}, outside what ${dtype} holds`);
  return value;
}

function number(value: number, dtype: Dtype, what: string): number {
  if (!isFloat(dtype)) return whole(value, dtype, what);
  if (dtype === "float32" && value !== 0 && !Number.isFinite(Math.fround(value)))
    throw new FillError(`${what} is ${value}, outside what ${dtype} holds`);
  return value;
}

function needsFloat(dtype: Dtype, distribution: string): void {
  if (!isFloat(dtype)) {
    throw new FillError(
      `the ${distribution} distribution is for floating tensors, not ${dtype}`,
      '{"distribution":"integers","low":"0","high":"99"}',
    );
  }
}

/** Strictly increasing along the last axis: each of its n slots must be wide enough to tell neighbours apart. */
function sorted(tensor: ResolvedTensor, low: number, high: number): ResolvedFill {
  const { dtype, shape } = tensor;
  number(low, dtype, "low");
  number(high, dtype, "high");
  const count = shape?.at(-1) ?? 0;
  if (tensor.elements > 0 && count > 0) {
    const magnitude = Math.max(Math.abs(low), Math.abs(high));
    // The harness leaves at least a tenth of a slot between floating neighbours, and one between whole numbers.
    const gap = isFloat(dtype) ? 10 * magnitude * (dtype === "float64" ? 2 ** -52 : 2 ** -23) : 1;
    if (!(high > low) || (high - low) / count < gap) {
      throw new FillError(
        `${count} increasing ${dtype} values do not fit between ${low} and ${high}`,
        "widen the range",
      );
    }
  }
  return { kind: "sorted", low, high };
}

function offsets(tensor: ResolvedTensor, total: number): ResolvedFill {
  if (isFloat(tensor.dtype)) throw new FillError("offsets need an integer dtype");
  if (tensor.shape?.length !== 1) throw new FillError("offsets need a tensor of one axis");
  whole(total, tensor.dtype, "total");
  if (total < 0) throw new FillError(`total is ${total}, below 0`);
  if (tensor.elements === 1 && total !== 0)
    throw new FillError(
      `a single offset is both first (0) and last (${total})`,
      "let its length be the rows plus one",
    );
  return { kind: "offsets", total };
}

function generated(
  tensor: ResolvedTensor,
  generator: Generator,
  axes: ReadonlyMap<string, number>,
): ResolvedFill {
  const { dtype } = tensor;
  switch (generator.distribution) {
    case "normal":
      needsFloat(dtype, "normal");
      return {
        kind: "normal",
        mean: number(generator.mean, dtype, "mean"),
        std: number(generator.std, dtype, "std"),
      };
    case "uniform":
      needsFloat(dtype, "uniform");
      if (generator.low > generator.high) throw new FillError("low is above high");
      return {
        kind: "uniform",
        low: number(generator.low, dtype, "low"),
        high: number(generator.high, dtype, "high"),
      };
    case "integers": {
      const low = whole(Math.trunc(evaluateExpression(generator.low, axes)), dtype, "low");
      const high = whole(Math.trunc(evaluateExpression(generator.high, axes)), dtype, "high");
      // An index into an empty axis (0 to N - 1 with N = 0) is all right as long as there is none.
      if (high < low && tensor.elements > 0) throw new FillError(`low (${low}) is above high (${high})`);
      if (high - low >= MAX_SPAN) throw new FillError("high - low must be below 2^32");
      return { kind: "integers", low, high };
    }
    case "sorted":
      return sorted(tensor, generator.low, generator.high);
    case "offsets":
      return offsets(tensor, evaluateExpression(generator.total, axes));
    case "constant":
      return { kind: "constant", value: number(generator.value, dtype, "value") };
  }
}

/** With no generator: floats are normal, bools 0 or 1, whole numbers 0 to 255 (int8: to 127). */
function byDefault(dtype: Dtype): ResolvedFill {
  if (isFloat(dtype)) return { kind: "normal", mean: 0, std: 1 };
  if (dtype === "bool") return { kind: "integers", low: 0, high: 1 };
  return { kind: "integers", low: 0, high: dtype === "int8" ? 127 : 255 };
}

/**
 * How `tensor` is filled, given what the workload says about it (nothing: as `random`).
 * @throws FillError when that does not suit the tensor's dtype or shape.
 */
export function resolveFill(
  tensor: ResolvedTensor,
  given: WorkloadInput | undefined,
  axes: ReadonlyMap<string, number>,
): ResolvedFill {
  if (tensor.shape === null) {
    if (given?.type !== "scalar") {
      throw new FillError("it is a scalar and needs a value", '{"type":"scalar","value":1}');
    }
    return { kind: "constant", value: number(Number(given.value), tensor.dtype, "value") };
  }
  if (given === undefined) return byDefault(tensor.dtype);
  switch (given.type) {
    case "scalar":
      throw new FillError(
        "it is a tensor, but a scalar is given",
        '{"type":"random","generator":{"distribution":"constant","value":1}}',
      );
    case "safetensors":
      throw new FillError(
        "safetensors files are not read on native targets, where the judge makes fresh inputs for every call",
        'describe the values: {"type":"random","generator":{…}}',
      );
    case "random":
      return given.generator === undefined
        ? byDefault(tensor.dtype)
        : generated(tensor, given.generator, axes);
  }
}
