import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadProblems } from "../../src/problems/index.ts";
import { resolveWorkload } from "../../src/problems/native.ts";
import { type Call, errorOverTolerance, fill, numbers, Workbench } from "./native.ts";

/** Short cuts that the tolerances must not let through: narrower types, skipped work, other formulas. */

const { problems } = loadProblems();

/** Rounds a float to bfloat16, as a tensor unit fed with it would. */
const BF16 = `
#include <string.h>
static float narrow(float v) {
  uint32_t bits;
  memcpy(&bits, &v, 4);
  bits = (bits + 0x7fffu + ((bits >> 16) & 1)) & 0xffff0000u;
  memcpy(&v, &bits, 4);
  return v;
}
`;

const SHORT_CUTS: [string, string, string][] = [
  [
    "gelu",
    "the tanh form",
    `#include "kernel.h"
#include <math.h>
void kernel(const float *x, float *y, int64_t N) {
  for (int64_t i = 0; i < N; i++)
    y[i] = 0.5f * x[i] * (1 + tanhf(0.7978845608f * (x[i] + 0.044715f * x[i] * x[i] * x[i])));
}`,
  ],
  [
    "matmul",
    "inputs in bfloat16",
    `#include "kernel.h"
${BF16}
void kernel(const float *A, const float *B, float *C, int64_t M, int64_t N, int64_t K) {
  for (int64_t i = 0; i < M; i++)
    for (int64_t j = 0; j < N; j++) {
      float sum = 0;
      for (int64_t k = 0; k < K; k++) sum += narrow(A[i * K + k]) * narrow(B[k * N + j]);
      C[i * N + j] = sum;
    }
}`,
  ],
  [
    "layer-norm",
    "no bias",
    `#include "kernel.h"
#include <math.h>
void kernel(const float *x, const float *weight, const float *bias, float eps, float *y, int64_t M, int64_t N) {
  (void)bias;
  for (int64_t i = 0; i < M; i++) {
    float mean = 0, variance = 0;
    for (int64_t j = 0; j < N; j++) mean += x[i * N + j] / (float)N;
    for (int64_t j = 0; j < N; j++) variance += (x[i * N + j] - mean) * (x[i * N + j] - mean) / (float)N;
    for (int64_t j = 0; j < N; j++) y[i * N + j] = (x[i * N + j] - mean) / sqrtf(variance + eps) * weight[j];
  }
}`,
  ],
  [
    "row-reduction",
    "the last column left out",
    `#include "kernel.h"
void kernel(const float *x, float *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    float sum = 0;
    for (int64_t j = 0; j < N - 1; j++) sum += x[i * N + j];
    y[i] = sum;
  }
}`,
  ],
  [
    "row-reduction-f64",
    "summed in float",
    `#include "kernel.h"
void kernel(const double *x, double *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    float sum = 0;
    for (int64_t j = 0; j < N; j++) sum += (float)x[i * N + j];
    y[i] = sum;
  }
}`,
  ],
  [
    "softmax",
    "a coarse exponential",
    `#include "kernel.h"
#include <math.h>
void kernel(const float *x, float *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    float top = x[i * N], sum = 0;
    for (int64_t j = 1; j < N; j++)
      if (x[i * N + j] > top) top = x[i * N + j];
    for (int64_t j = 0; j < N; j++) {
      float t = 1 + (x[i * N + j] - top) / 1024;
      for (int k = 0; k < 10; k++) t *= t;
      y[i * N + j] = t;
      sum += t;
    }
    for (int64_t j = 0; j < N; j++) y[i * N + j] /= sum;
  }
}`,
  ],
  [
    "merge-bucketized-dense-transform",
    "every feature with the borders of the first",
    `#include "kernel.h"
void kernel(const float *x, const float *borders, int32_t *bucket, int64_t N, int64_t F, int64_t K) {
  for (int64_t i = 0; i < N; i++)
    for (int64_t f = 0; f < F; f++) {
      int32_t count = 0;
      for (int64_t k = 0; k < K; k++) count += borders[k] < x[i * F + f];
      bucket[i * F + f] = (int32_t)(f * (K + 1)) + count;
    }
}`,
  ],
  [
    "batched-event-truncation",
    "the oldest events in place of the most recent",
    `#include "kernel.h"
void kernel(const float *values, const int64_t *offsets, float *out, int64_t *lengths, int64_t B, int64_t B1, int64_t E, int64_t F,
            int64_t keep) {
  (void)B1;
  (void)E;
  for (int64_t b = 0; b < B; b++) {
    int64_t count = offsets[b + 1] - offsets[b];
    lengths[b] = count < keep ? count : keep;
    for (int64_t e = 0; e < keep * F; e++)
      out[b * keep * F + e] = e < lengths[b] * F ? values[offsets[b] * F + e] : 0;
  }
}`,
  ],
];

describe("a short cut is outside the tolerance", () => {
  let bench: Workbench;
  beforeAll(() => {
    bench = new Workbench();
  });
  afterAll(() => bench.close());

  it.each(SHORT_CUTS)("%s: %s", (name, _what, source) => {
    const problem = problems.get(name);
    if (problem === undefined) throw new Error(`${name} is missing`);
    const { definition } = problem;
    const random = numbers(3);
    const last = problem.workloads.findLast((workload) => workload.role === "timed");
    if (last === undefined) throw new Error(`${name} has no timed workload`);
    const workload = resolveWorkload(definition, last);
    const calls: Call[] = [{ workload, inputs: workload.inputs.map((input) => fill(input, random)) }];
    const oracle = bench.compile(definition, definition.reference_c ?? "", "oracle", [
      "-O2",
      "-DKE_REFERENCE",
      "-DKE_ORACLE",
    ]);
    const want = bench.call(oracle, true, calls)[0]?.outputs;
    const got = bench.call(bench.compile(definition, source, "short-cut", ["-O2"]), false, calls)[0]?.outputs;
    const worst = workload.outputs.map(({ tolerance }, tensor) =>
      errorOverTolerance(
        want?.[tensor] ?? new Float64Array(),
        got?.[tensor] ?? new Float64Array(),
        tolerance,
      ),
    );
    // Twice over: the judge grants up to four times the plain loop's own error, which is far below this.
    expect(Math.max(...worst)).toBeGreaterThan(2);
  });
});
