// Sum and sum of squares in one pass, both shifted by the first element so that nothing cancels; the next row is prefetched.
// ke:problem layer-norm
// ke:technique vectorised, single-pass, prefetch
// ke:flags -O3 -march=native
// ke:tunable UNROLL int 2 {1,2,4,8}
// ke:tunable AHEAD int 0 {0,1,2}
// ke:tunable-flags {-ffast-math,-funroll-loops}
#include "kernel.h"
#include <math.h>

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

static inline float sum_of(vec v) {
  float s = 0;
  for (int k = 0; k < VL; k++) s += v[k];
  return s;
}

void kernel(const float *x, const float *weight, const float *bias, float eps, float *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    const float *in = x + i * N;
    float *out = y + i * N, shift = 0, total = 0, squares = 0;
    for (int64_t j = 0; j < N && j < 8; j++) shift += in[j];
    shift /= (float)(N < 8 ? N : 8);
    vec sum[UNROLL], square[UNROLL];
    for (int u = 0; u < UNROLL; u++) sum[u] = square[u] = (vec){};
    int64_t j = 0;
    for (; j + UNROLL * VL <= N; j += UNROLL * VL)
      for (int u = 0; u < UNROLL; u++) {
        vec d = load(in + j + u * VL) - shift;
        if (AHEAD && i + AHEAD < M) __builtin_prefetch(in + AHEAD * N + j + u * VL);
        sum[u] += d;
        square[u] += d * d;
      }
    for (; j < N; j++) {
      float d = in[j] - shift;
      total += d;
      squares += d * d;
    }
    for (int u = 0; u < UNROLL; u++) total += sum_of(sum[u]), squares += sum_of(square[u]);
    float offset = total / (float)N, mean = shift + offset, variance = squares / (float)N - offset * offset;
    float scale = 1 / sqrtf((variance > 0 ? variance : 0) + eps);
    for (j = 0; j + VL <= N; j += VL) store(out + j, (load(in + j) - mean) * scale * load(weight + j) + load(bias + j));
    for (; j < N; j++) out[j] = (in[j] - mean) * scale * weight[j] + bias[j];
  }
}
