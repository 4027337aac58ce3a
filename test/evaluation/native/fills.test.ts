import { expect, test } from "vitest";
import { ask, fixture, verifiedOf } from "./harness.ts";

/** A kernel that checks its inputs itself, and prints what does not hold. */
const CHECKS = `#include "kernel.h"
#include <math.h>
#include <stdio.h>
void kernel(const int64_t *offsets, const REAL *bounds, const int32_t *index, const REAL *share, const REAL *fixed, const REAL *x,
            REAL *y, int64_t B, int64_t N) {
  if (offsets[0] != 0 || offsets[B] != 5000) printf("ends of offsets\\n");
  for (int64_t i = 0; i < B; i++)
    if (offsets[i] > offsets[i + 1]) printf("order of offsets\\n");
  for (int64_t i = 0; i + 1 < N; i++)
    if (!(bounds[i] < bounds[i + 1])) printf("order of bounds\\n");
  int low = 0, high = 0;
  for (int64_t i = 0; i < N; i++) {
    if (index[i] < 3 || index[i] > 9) printf("range of index\\n");
    low += index[i] == 3;
    high += index[i] == 9;
    if (fixed[i] != (REAL)0.25) printf("fixed\\n");
    if (!isfinite(x[i]) || !isfinite(share[i])) printf("not finite\\n");
    y[i] = x[i] + share[i];
  }
  if (low == 0 || high == 0) printf("ends of index\\n");
}
`;

test("every kind of filling keeps what kernels rely on, under all hidden transforms", async () => {
  const real = { dtype: "float32", shape: ["N"] };
  const problem = fixture(
    {
      name: "fills",
      op_type: "fills",
      axes: { B: { type: "const", value: 32 }, B1: { type: "const", value: 33 }, N: { type: "var" } },
      inputs: {
        offsets: { shape: ["B1"], dtype: "int64" },
        bounds: real,
        index: { shape: ["N"], dtype: "int32" },
        share: real,
        fixed: real,
        x: real,
      },
      outputs: { y: real },
      reference_c: CHECKS.replaceAll("REAL", "real_t").replace(
        "int64_t B, int64_t N",
        "int64_t B, int64_t B1, int64_t N",
      ),
    },
    [
      {
        uuid: "all",
        axes: { N: 3000 },
        inputs: {
          offsets: { type: "random", generator: { distribution: "offsets", total: "5000" } },
          bounds: { type: "random", generator: { distribution: "sorted", low: -2, high: 7 } },
          index: { type: "random", generator: { distribution: "integers", low: "3", high: "B - 23" } },
          share: { type: "random", generator: { distribution: "uniform", low: 0, high: 1 } },
          fixed: { type: "random", generator: { distribution: "constant", value: 0.25 } },
        },
      },
    ],
  );
  const kernel = CHECKS.replaceAll("REAL", "float").replace(
    "int64_t B, int64_t N",
    "int64_t B, int64_t B1, int64_t N",
  );
  const [verified] = verifiedOf(await ask("verify", problem, kernel));
  expect(verified).toMatchObject({ passed: true, text: "", trials: 8 });
});

test("rows differ in mean and scale, and no two calls have the same contents", async () => {
  const print = (type: string, loud: boolean): string => `#include "kernel.h"
#include <stdio.h>
void kernel(const ${type} *x, ${type} *y, int64_t M, int64_t N) {
  for (int64_t m = 0; m < M; m++) {
    double sum = 0, squares = 0;
    for (int64_t n = 0; n < N; n++) sum += x[m * N + n];
    for (int64_t n = 0; n < N; n++) squares += (x[m * N + n] - sum / N) * (x[m * N + n] - sum / N);
    y[m] = sum;
    ${loud ? 'printf("%.9f %.9f\\n", sum / N, squares / N);' : ""}
  }
}
`;
  const problem = fixture(
    {
      name: "rows",
      op_type: "rows",
      axes: { M: { type: "const", value: 40 }, N: { type: "const", value: 4000 } },
      inputs: { x: { shape: ["M", "N"], dtype: "float32" } },
      outputs: { y: { shape: ["M"], dtype: "float32" } },
      reference_c: print("real_t", false),
    },
    [{ uuid: "w", axes: {} }],
  );
  const [verified] = verifiedOf(await ask("verify", problem, print("float", true), { trials: 1 }));
  const rows = (verified?.text ?? "")
    .trim()
    .split("\n")
    .map((line) => line.split(" ").map(Number));
  // Two calls of the first trial: the same contents again.
  expect(rows).toHaveLength(80);
  expect(rows.slice(0, 40)).toEqual(rows.slice(40));
  const means = rows.slice(0, 40).map(([mean]) => mean ?? 0);
  const deviations = rows.slice(0, 40).map(([, variance]) => Math.sqrt(variance ?? 0));
  expect(Math.max(...means) - Math.min(...means)).toBeGreaterThan(0.5);
  expect(Math.max(...means.map(Math.abs))).toBeLessThan(0.6);
  expect(Math.min(...deviations)).toBeGreaterThan(0.45);
  expect(Math.max(...deviations)).toBeLessThan(1.55);
  expect(Math.max(...deviations) - Math.min(...deviations)).toBeGreaterThan(0.4);
  const [other] = verifiedOf(await ask("verify", problem, print("float", true), { trials: 1 }));
  expect(other?.text).not.toBe(verified?.text);
});
