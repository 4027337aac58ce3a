import { readFileSync } from "node:fs";
import { z } from "zod";
import { KernelEvolveError } from "../../domain/index.ts";

const headerSchema = z.record(
  z.string(),
  z.object({
    dtype: z.string(),
    shape: z.array(z.int().nonnegative()),
    data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
  }),
);

export interface Tensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const READERS: Readonly<Record<string, { size: number; read: (view: DataView, at: number) => number }>> = {
  F64: { size: 8, read: (view, at) => view.getFloat64(at, true) },
  F32: { size: 4, read: (view, at) => view.getFloat32(at, true) },
  F16: { size: 2, read: (view, at) => half(view.getUint16(at, true)) },
  BF16: {
    size: 2,
    read: (view, at) => new Float32Array(new Uint32Array([view.getUint16(at, true) << 16]).buffer)[0] ?? 0,
  },
  I64: { size: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
  I32: { size: 4, read: (view, at) => view.getInt32(at, true) },
  I8: { size: 1, read: (view, at) => view.getInt8(at) },
};

/** Reads the tensors of a safetensors file as float32. @throws corrupt when the file is not whole. */
export function readSafetensors(file: string): Map<string, Tensor> {
  const bytes = readFileSync(file);
  const broken = (why: string): KernelEvolveError =>
    new KernelEvolveError("corrupt", `${file}: ${why}`, { fix: "fetch the model again" });
  if (bytes.length < 8) throw broken("is too short for a safetensors file");
  const length = Number(bytes.readBigUInt64LE(0));
  if (!Number.isSafeInteger(length) || length > bytes.length - 8)
    throw broken("its header is longer than the file");
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  } catch {
    throw broken("its header is not JSON");
  }
  const named = Object.entries(json !== null && typeof json === "object" ? json : {});
  json = Object.fromEntries(named.filter(([name]) => name !== "__metadata__"));
  const header = headerSchema.safeParse(json);
  if (!header.success) throw broken("its header does not have the expected form");
  const tensors = new Map<string, Tensor>();
  const view = new DataView(bytes.buffer, bytes.byteOffset + 8 + length, bytes.length - 8 - length);
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header.data)) {
    const reader = READERS[dtype];
    const count = shape.reduce((product, size) => product * size, 1);
    const [from, to] = data_offsets;
    if (reader === undefined) throw broken(`tensor ${name} is of type ${dtype}, which is not read here`);
    if (to > view.byteLength || to - from !== count * reader.size)
      throw broken(`tensor ${name} is not whole`);
    const values = new Float32Array(count);
    for (let index = 0; index < count; index += 1)
      values[index] = reader.read(view, from + index * reader.size);
    tensors.set(name, { shape, values });
  }
  return tensors;
}
