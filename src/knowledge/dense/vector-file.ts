import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { z } from "zod";
import { errorMessage, KernelEvolveError } from "../../domain/index.ts";
import { ExactIndex } from "./exact.ts";
import { seal, sealBroken, sealSchema, writeAtomically } from "./seal.ts";

const sidecarSchema = z.object({
  format: z.literal("f32/1"),
  embedder: z.string(),
  dimension: z.int().positive(),
  space: z.literal("ip"),
  count: z.int().nonnegative(),
  seal: sealSchema,
});

/** Labels (int32), then the vectors (float32, row by row), and a manifest beside it. */
export function writeVectors(file: string, embedder: string, index: ExactIndex): void {
  const fd = openSync(file, "w");
  try {
    for (const part of [index.labels, index.vectors]) {
      const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
      for (
        let at = 0;
        at < bytes.length;
        at += writeSync(fd, bytes, at, Math.min(64 << 20, bytes.length - at))
      );
    }
  } finally {
    closeSync(fd);
  }
  writeAtomically(
    `${file}.json`,
    JSON.stringify({
      format: "f32/1",
      embedder,
      dimension: index.dimension,
      space: "ip",
      count: index.count,
      seal: seal(file),
    } satisfies z.infer<typeof sidecarSchema>),
  );
}

/** @throws corrupt when the file is not the one that its manifest tells of, or is of another embedder. */
export function readVectors(file: string, embedder: string): ExactIndex {
  const wrong = (why: string): KernelEvolveError =>
    new KernelEvolveError("corrupt", `${file} ${why}`, { fix: "it is made anew by a rebuild" });
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(`${file}.json`, "utf8"));
  } catch (error) {
    throw wrong(`has no readable manifest: ${errorMessage(error)}`);
  }
  const parsed = sidecarSchema.safeParse(json);
  if (!parsed.success) throw wrong("has a manifest of another form");
  const { dimension, count } = parsed.data;
  if (parsed.data.embedder !== embedder) throw wrong(`is of the embedder ${parsed.data.embedder}`);
  if (parsed.data.seal.bytes !== 4 * count * (1 + dimension))
    throw wrong("does not hold what its manifest says");
  const broken = sealBroken(file, parsed.data.seal);
  if (broken !== undefined) throw wrong(broken);
  const bytes = readFileSync(file);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  return new ExactIndex(dimension, new Int32Array(buffer, 0, count), new Float32Array(buffer, 4 * count));
}
