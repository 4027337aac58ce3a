// Keys are transposed in blocks of TILE_T, QR queries at once run an online softmax over the blocks.
// ke:problem scaled-dot-product-attention
// ke:technique blocked, online-softmax, vectorised
// ke:flags -O3 -march=native -ffast-math
// ke:tunable TILE_T int 64 {16,32,64,128}
// ke:tunable QR int 4 {1,2,4,8}
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

#if TILE_T % VL
#error "TILE_T must be a multiple of the vector length"
#endif
static float exp_one(float x) {
  vec a = (vec){} + x;
  return vexp(a)[0];
}
void kernel(const float *q, const float *k, const float *v, float *o, int64_t H, int64_t S, int64_t T, int64_t D) {
  float scale = 1 / sqrtf((float)D);
  float *keys = workspace((size_t)(D * TILE_T + QR * TILE_T) * sizeof(float) + 64), *weight = keys + D * TILE_T;
  for (int64_t h = 0; h < H; h++)
    for (int64_t s0 = 0; s0 < S; s0 += QR) {
      int rows = S - s0 < QR ? (int)(S - s0) : QR;
      float top[QR], sum[QR];
      for (int r = 0; r < rows; r++) {
        top[r] = -3e38f;
        sum[r] = 0;
        for (int64_t d = 0; d < D; d++) o[(h * S + s0 + r) * D + d] = 0;
      }
      for (int64_t t0 = 0; t0 < T; t0 += TILE_T) {
        int64_t width = T - t0 < TILE_T ? T - t0 : TILE_T;
        for (int64_t t = 0; t < TILE_T; t++)
          for (int64_t d = 0; d < D; d++) keys[d * TILE_T + t] = t < width ? k[(h * T + t0 + t) * D + d] : 0;
        for (int r = 0; r < rows; r++) {
          const float *query = q + (h * S + s0 + r) * D;
          float *w = weight + r * TILE_T, high = top[r];
          vec dot[TILE_T / VL];
          for (int b = 0; b < TILE_T / VL; b++) dot[b] = (vec){};
          for (int64_t d = 0; d < D; d++)
            for (int b = 0; b < TILE_T / VL; b++) dot[b] += query[d] * load(keys + d * TILE_T + b * VL);
          for (int b = 0; b < TILE_T / VL; b++) store(w + b * VL, dot[b] * scale);
          for (int64_t t = 0; t < width; t++) high = w[t] > high ? w[t] : high;
          for (int64_t t = width; t < TILE_T; t++) w[t] = -3e38f;
          float old = exp_one(top[r] - high), part = 0;
          for (int b = 0; b < TILE_T / VL; b++) {
            vec e = vexp(load(w + b * VL) - high);
            store(w + b * VL, e);
            part += sum_of(e);
          }
          sum[r] = sum[r] * old + part;
          top[r] = high;
          float *out = o + (h * S + s0 + r) * D;
          int64_t d = 0;
          for (; d + VL <= D; d += VL) {
            vec a = load(out + d) * old;
            for (int64_t t = 0; t < width; t++) a += w[t] * load(v + (h * T + t0 + t) * D + d);
            store(out + d, a);
          }
          for (; d < D; d++) {
            float a = out[d] * old;
            for (int64_t t = 0; t < width; t++) a += w[t] * v[(h * T + t0 + t) * D + d];
            out[d] = a;
          }
        }
      }
      for (int r = 0; r < rows; r++)
        for (int64_t d = 0; d < D; d++) o[(h * S + s0 + r) * D + d] /= sum[r];
    }
}
