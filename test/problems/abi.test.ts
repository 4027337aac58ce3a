import { describe, expect, it } from "vitest";
import { kernelHeader, prototype, shimSource } from "../../src/problems/native.ts";
import { sample } from "./definitions.ts";

describe("the C interface", () => {
  it("kernel.h", () => {
    expect(kernelHeader(sample())).toMatchInlineSnapshot(`
      "#ifndef KE_KERNEL_H
      #define KE_KERNEL_H
      /* sample
       *   x: input, float32 [N]; values
       *   index: input, int32 [N]
       *   table: input, float32 [T]
       *   a: input, float32 scalar
       *   y: output, float32 [N]
       *   N: axis, varies; elements
       *   T: axis, always 8
       */
      #include <stddef.h>
      #include <stdint.h>
      #ifdef __cplusplus
      #define KE_RESTRICT __restrict__
      extern "C" {
      #else
      #define KE_RESTRICT restrict
      #endif
      #ifdef KE_ORACLE
      typedef double real_t;
      #else
      typedef float real_t;
      #endif
      #ifdef KE_REFERENCE
      void kernel(const real_t *x, const int32_t *index, const real_t *table, real_t a, real_t *y, int64_t N, int64_t T);
      #else
      void kernel(const float *x, const int32_t *index, const float *table, float a, float *y, int64_t N, int64_t T);
      #endif
      #ifdef __cplusplus
      }
      #endif
      #endif
      "
    `);
  });

  it("shim.c", () => {
    expect(shimSource(sample())).toMatchInlineSnapshot(`
      "#include "kernel.h"
      #ifdef KE_REFERENCE
      #define KE_REAL real_t
      #else
      #define KE_REAL float
      #endif
      #ifdef __cplusplus
      extern "C"
      #endif
      __attribute__((visibility("default"))) void ke_entry(void *const *buffers, const int64_t *axes);
      void ke_entry(void *const *buffers, const int64_t *axes) {
        (void)axes;
        kernel((const KE_REAL *)buffers[0], (const int32_t *)buffers[1], (const KE_REAL *)buffers[2], *(const KE_REAL *)buffers[3], (KE_REAL *)buffers[4], axes[0], axes[1]);
      }
      "
    `);
  });

  it("the prototype for people and agents", () => {
    expect(prototype(sample({ constraints: ["N >= 1"] }), "c")).toMatchInlineSnapshot(`
      "#include "kernel.h"

      /*
       *   x: input, float32 [N]; values
       *   index: input, int32 [N]
       *   table: input, float32 [T]
       *   a: input, float32 scalar
       *   y: output, float32 [N]
       *   N: axis, varies; elements
       *   T: axis, always 8
       *   holds: N >= 1
       * Tensors are row-major and contiguous, 64-byte aligned; inputs are read-only memory; every element of every
       * output must be written. Any axis that varies may be 0, 1 or a prime where the constraints allow it.
       */
      void kernel(const float *x, const int32_t *index, const float *table, float a, float *y, int64_t N, int64_t T);"
    `);
  });

  it("is extern C for C++", () => {
    expect(prototype(sample(), "cpp")).toContain('extern "C" void kernel(const float *x,');
  });

  it("is wider in the oracle: double for float32, long double for float64", () => {
    expect(kernelHeader(sample())).toContain("typedef double real_t;\n#else\ntypedef float real_t;");
    const inputs = { x: { shape: ["N"], dtype: "float64" } };
    const outputs = { y: { shape: ["N"], dtype: "float64" } };
    expect(kernelHeader(sample({ inputs, outputs }))).toContain(
      "typedef long double real_t;\n#else\ntypedef double real_t;",
    );
  });

  it("a description cannot leave its comment", () => {
    const inputs = {
      x: { shape: ["N"], dtype: "float32", description: "*/ int evil; /*\n#include <evil>\0" },
    };
    const header = kernelHeader(sample({ inputs }));
    expect(header).toContain("x: input, float32 [N]; * / int evil; / * #include <evil>");
    expect(header.match(/\*\//g)).toHaveLength(1);
    expect(prototype(sample({ inputs }), "c").match(/\*\//g)).toHaveLength(1);
  });
});
