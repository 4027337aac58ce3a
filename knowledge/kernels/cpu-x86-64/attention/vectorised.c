// Keys of a head transposed once; scores of one query as vectors over keys, then vectors over the head dimension with DV of them in registers.
// ke:problem scaled-dot-product-attention
// ke:technique vectorised, transposed-keys
// ke:flags -O3 -march=native -ffast-math
// ke:tunable TV int 4 {1,2,4,8}
// ke:tunable DV int 4 {1,2,4}
// ke:tunable-flags {-funroll-loops}
#include "kernel.h"
#include <math.h>
#include <stdlib.h>

#if defined(__AVX512F__)
#define VL 16
#elif defined(__AVX__)
#define VL 8
#else
#define VL 4
#endif
/* One register of floats; the second type may stand at any address. */
typedef float vec __attribute__((vector_size(4 * VL)));
typedef float uvec __attribute__((vector_size(4 * VL), aligned(4), may_alias));
static inline vec load(const float *p) { return *(const uvec *)p; }
static inline void store(float *p, vec v) { *(uvec *)p = v; }

#include <immintrin.h>
static inline vec vmax(vec a, vec b) {
#if VL == 16
  return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif VL == 8
  return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
  return (vec)_mm_max_ps((__m128)a, (__m128)b);
#endif
}

typedef int32_t ivec __attribute__((vector_size(4 * VL)));
/* e^x for x <= 0: 2^n times a polynomial on [-ln2/2, ln2/2], error about one unit in the last place; below -87 it stays at 1.6e-38. */
static inline vec vexp(vec x) {
  vec low = vmax(x, (vec){} - 87.0f);
  ivec n = __builtin_convertvector(low * 1.44269504f - 0.5f, ivec); /* nearest, for x <= 0 */
  vec f = __builtin_convertvector(n, vec);
  vec r = low - f * 0.693359375f + f * 2.12194440e-4f;
  vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return p * (vec)((n + 127) << 23);
}

static inline float sum_of(vec v) {
  float s = 0;
  for (int k = 0; k < VL; k++) s += v[k];
  return s;
}

/* Workspace that grows with the largest shape seen and stays for later calls. */
static void *workspace(size_t bytes) {
  static void *memory;
  static size_t size;
  if (bytes > size) {
    free(memory);
    if (posix_memalign(&memory, 64, bytes)) abort();
    size = bytes;
  }
  return memory;
}

static float exp_one(float x) {
  vec a = (vec){} + x;
  return vexp(a)[0];
}
void kernel(const float *q, const float *k, const float *v, float *o, int64_t H, int64_t S, int64_t T, int64_t D) {
  int64_t padded = (T + TV * VL - 1) / (TV * VL) * (TV * VL);
  float *keys = workspace((size_t)((D + 1) * padded) * sizeof(float) + 64), *score = keys + D * padded, scale = 1 / sqrtf((float)D);
  for (int64_t h = 0; h < H; h++) {
    for (int64_t d = 0; d < D; d++)
      for (int64_t t = 0; t < padded; t++) keys[d * padded + t] = t < T ? k[(h * T + t) * D + d] : 0;
    for (int64_t s = 0; s < S; s++) {
      const float *query = q + (h * S + s) * D;
      float *out = o + (h * S + s) * D, top = -3e38f, sum = 0;
      for (int64_t t = 0; t < padded; t += TV * VL) {
        vec dot[TV];
        for (int b = 0; b < TV; b++) dot[b] = (vec){};
        for (int64_t d = 0; d < D; d++)
          for (int b = 0; b < TV; b++) dot[b] += query[d] * load(keys + d * padded + t + b * VL);
        for (int b = 0; b < TV; b++) store(score + t + b * VL, dot[b] * scale);
      }
      for (int64_t t = 0; t < T; t++) top = score[t] > top ? score[t] : top;
      int64_t t = 0;
      for (; t + VL <= T; t += VL) {
        vec e = vexp(load(score + t) - top);
        store(score + t, e);
        sum += sum_of(e);
      }
      for (; t < T; t++) sum += score[t] = exp_one(score[t] - top);
      float share = 1 / sum;
      int64_t d = 0;
      for (; d + DV * VL <= D; d += DV * VL) {
        vec a[DV];
        for (int b = 0; b < DV; b++) a[b] = (vec){};
        for (t = 0; t < T; t++)
          for (int b = 0; b < DV; b++) a[b] += score[t] * load(v + (h * T + t) * D + d + b * VL);
        for (int b = 0; b < DV; b++) store(out + d + b * VL, a[b] * share);
      }
      for (; d < D; d++) {
        float a = 0;
        for (t = 0; t < T; t++) a += score[t] * v[(h * T + t) * D + d];
        out[d] = a * share;
      }
    }
  }
}
