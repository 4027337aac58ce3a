import { z } from "zod";
import { MAX_SOURCE_BYTES } from "./scalar.ts";

/**
 * A candidate is the source of one kernel. Compiler flags and tunables are part of the source (a comment header),
 * so that the text alone says what is built and the content hash identifies it.
 */
export const candidateSourceSchema = z
  .string()
  .min(1, "source is empty")
  .max(MAX_SOURCE_BYTES, `source is larger than ${MAX_SOURCE_BYTES} characters`)
  .refine((text) => !text.includes("\0"), "source contains a NUL byte");

/**
 * One tunable of the header. In C it reads
 * `// ke:tunable TILE_M int 64 {16,32,64,128}` (name, type, current value, values);
 * the build passes `-DTILE_M=64`. `// ke:flags -O3 -funroll-loops` sets the flags;
 * `// ke:tunable-flags {-funroll-loops,-fno-tree-vectorize}` are flags that a tuner may switch on and off.
 */
export const tunableSchema = z.object({
  name: z.string().regex(/^[A-Z][A-Z0-9_]{0,40}$/),
  type: z.enum(["int", "enum", "bool"]),
  value: z.string(),
  values: z.array(z.string()).min(1).max(64),
});
export type Tunable = z.infer<typeof tunableSchema>;
