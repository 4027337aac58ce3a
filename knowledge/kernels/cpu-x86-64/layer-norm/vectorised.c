// Two passes over the row with several vector accumulators, then the output.
// ke:problem layer-norm
// ke:technique vectorised, two-pass
// ke:flags -O3 -march=native
// ke:tunable UNROLL int 4 {1,2,4,8}
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
    float *out = y + i * N;
    vec sum[UNROLL], square[UNROLL];
    for (int u = 0; u < UNROLL; u++) sum[u] = square[u] = (vec){};
    float mean = 0, variance = 0;
    int64_t j = 0;
    for (; j + UNROLL * VL <= N; j += UNROLL * VL)
      for (int u = 0; u < UNROLL; u++) sum[u] += load(in + j + u * VL);
    for (; j < N; j++) mean += in[j];
    for (int u = 0; u < UNROLL; u++) mean += sum_of(sum[u]);
    mean /= (float)N;
    for (j = 0; j + UNROLL * VL <= N; j += UNROLL * VL)
      for (int u = 0; u < UNROLL; u++) {
        vec d = load(in + j + u * VL) - mean;
        square[u] += d * d;
      }
    for (; j < N; j++) variance += (in[j] - mean) * (in[j] - mean);
    for (int u = 0; u < UNROLL; u++) variance += sum_of(square[u]);
    float scale = 1 / sqrtf(variance / (float)N + eps);
    for (j = 0; j + VL <= N; j += VL) store(out + j, (load(in + j) - mean) * scale * load(weight + j) + load(bias + j));
    for (; j < N; j++) out[j] = (in[j] - mean) * scale * weight[j] + bias[j];
  }
}
