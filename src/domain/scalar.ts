import { z } from "zod";

/** Element types a tensor may have: those of FlashInfer-Trace and uint8. Native targets name the ones they support. */
export const DTYPES = [
  "float32",
  "float64",
  "int32",
  "int64",
  "uint8",
  "bool",
  "float16",
  "bfloat16",
  "int8",
  "float8_e4m3fn",
  "float8_e5m2",
  "float4_e2m1",
  "int16",
] as const;
export const dtypeSchema = z.enum(DTYPES);
export type Dtype = z.infer<typeof dtypeSchema>;

/** Bytes of one element of `dtype`; two of float4_e2m1 share one. */
export const DTYPE_BYTES: Record<Dtype, number> = {
  float32: 4,
  float64: 8,
  int32: 4,
  int64: 8,
  uint8: 1,
  bool: 1,
  float16: 2,
  bfloat16: 2,
  int8: 1,
  float8_e4m3fn: 1,
  float8_e5m2: 1,
  float4_e2m1: 0.5,
  int16: 2,
};

/** Whether values of `dtype` are floating point (compared with a tolerance) or exact. */
export function isFloat(dtype: Dtype): boolean {
  return dtype.startsWith("float") || dtype === "bfloat16";
}

/** A name that is safe as a C identifier, a file name and an SQL value. */
export const identifierSchema = z
  .string()
  .min(1)
  .max(64)
  .regex(
    /^[A-Za-z_][A-Za-z0-9_]*$/,
    "must be an identifier: letters, digits and _, not starting with a digit",
  );

/** A slug: target ids, problem names, abstractions. */
export const slugSchema = z
  .string()
  .min(1)
  .max(96)
  .regex(/^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/, "must be lower-case letters, digits, '.', '_' or '-'");

/** Largest source text accepted for a candidate or a reference, in bytes. */
export const MAX_SOURCE_BYTES = 1_000_000;
