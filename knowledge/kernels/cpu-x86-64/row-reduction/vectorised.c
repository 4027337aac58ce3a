// Independent vector accumulators cover the latency of the addition; prefetch ahead of the stream.
// ke:problem row-reduction
// ke:technique vectorised, accumulators, prefetch
// ke:flags -O3 -march=native
// ke:tunable UNROLL int 8 {2,4,8,16}
// ke:tunable AHEAD int 0 {0,256,512,1024,2048}
// ke:tunable-flags {-ffast-math,-funroll-loops}
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

static inline float sum_of(vec v) {
  float s = 0;
  for (int k = 0; k < VL; k++) s += v[k];
  return s;
}

void kernel(const float *x, float *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    const float *in = x + i * N;
    vec sum[UNROLL];
    for (int u = 0; u < UNROLL; u++) sum[u] = (vec){};
    float rest = 0;
    int64_t j = 0;
    for (; j + UNROLL * VL <= N; j += UNROLL * VL)
      for (int u = 0; u < UNROLL; u++) {
        if (AHEAD) __builtin_prefetch(in + j + u * VL + AHEAD);
        sum[u] += load(in + j + u * VL);
      }
    for (; j < N; j++) rest += in[j];
    for (int u = 1; u < UNROLL; u++) sum[0] += sum[u];
    y[i] = rest + sum_of(sum[0]);
  }
}
