import { type Definition, definitionSchema, type Workload, workloadSchema } from "../../src/domain/index.ts";

/** y[i] = a x[i] + table[index[i]], with a scalar, an index, a constant axis and two element types. */
export function sample(changes: Record<string, unknown> = {}): Definition {
  return definitionSchema.parse({
    name: "sample",
    op_type: "elementwise",
    axes: { N: { type: "var", description: "elements" }, T: { type: "const", value: 8 } },
    inputs: {
      x: { shape: ["N"], dtype: "float32", description: "values" },
      index: { shape: ["N"], dtype: "int32" },
      table: { shape: ["T"], dtype: "float32" },
      a: { shape: null, dtype: "float32" },
    },
    outputs: { y: { shape: ["N"], dtype: "float32" } },
    cost: { flops: "2*N" },
    reference_c: `#include "kernel.h"
void kernel(const real_t *x, const int32_t *index, const real_t *table, real_t a, real_t *y, int64_t N, int64_t T) {
  (void)T;
  for (int64_t i = 0; i < N; i++) y[i] = a * x[i] + table[index[i]];
}
`,
    ...changes,
  });
}

/** A workload of `sample`. */
export function workload(changes: Record<string, unknown> = {}): Workload {
  return workloadSchema.parse({
    uuid: "w",
    axes: { N: 100 },
    inputs: {
      a: { type: "scalar", value: 2 },
      index: { type: "random", generator: { distribution: "integers", low: "0", high: "T - 1" } },
    },
    ...changes,
  });
}
