// Own vector exp and several accumulators; the row is read once from memory and then from cache.
// ke:problem softmax
// ke:technique vectorised, polynomial-exp
// ke:flags -O3 -march=native -ffast-math
// ke:tunable UNROLL int 2 {1,2,4,8}
// ke:tunable-flags {-funroll-loops}
#include "kernel.h"
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

static float exp_one(float x) {
  vec v = (vec){} + x;
  return vexp(v)[0];
}
void kernel(const float *x, float *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    const float *in = x + i * N;
    float *out = y + i * N;
    vec top[UNROLL], sum[UNROLL];
    float most = in[0], total = 0;
    for (int u = 0; u < UNROLL; u++) top[u] = (vec){} + most, sum[u] = (vec){};
    int64_t j = 0;
    for (; j + UNROLL * VL <= N; j += UNROLL * VL)
      for (int u = 0; u < UNROLL; u++) {
        vec v = load(in + j + u * VL);
        top[u] = vmax(v, top[u]);
      }
    for (; j < N; j++) most = in[j] > most ? in[j] : most;
    for (int u = 0; u < UNROLL; u++)
      for (int k = 0; k < VL; k++) most = top[u][k] > most ? top[u][k] : most;
    for (j = 0; j + UNROLL * VL <= N; j += UNROLL * VL)
      for (int u = 0; u < UNROLL; u++) {
        vec e = vexp(load(in + j + u * VL) - most);
        store(out + j + u * VL, e);
        sum[u] += e;
      }
    for (; j < N; j++) total += out[j] = exp_one(in[j] - most);
    for (int u = 0; u < UNROLL; u++) total += sum_of(sum[u]);
    float scale = 1 / total;
    for (j = 0; j + VL <= N; j += VL) store(out + j, load(out + j) * scale);
    for (; j < N; j++) out[j] *= scale;
  }
}
