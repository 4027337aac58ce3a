// ROWS rows at once: as many streams in flight, so that memory latency overlaps.
// ke:problem row-reduction
// ke:technique vectorised, multi-stream
// ke:flags -O3 -march=native
// ke:tunable ROWS int 4 {2,4,8}
// ke:tunable UNROLL int 2 {1,2,4}
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

static float one_row(const float *in, int64_t N) {
  vec sum = (vec){};
  float rest = 0;
  int64_t j = 0;
  for (; j + VL <= N; j += VL) sum += load(in + j);
  for (; j < N; j++) rest += in[j];
  return rest + sum_of(sum);
}
void kernel(const float *x, float *y, int64_t M, int64_t N) {
  int64_t i = 0;
  for (; i + ROWS <= M; i += ROWS) {
    vec sum[ROWS][UNROLL];
    for (int r = 0; r < ROWS; r++)
      for (int u = 0; u < UNROLL; u++) sum[r][u] = (vec){};
    int64_t j = 0;
    for (; j + UNROLL * VL <= N; j += UNROLL * VL)
      for (int r = 0; r < ROWS; r++)
        for (int u = 0; u < UNROLL; u++) sum[r][u] += load(x + (i + r) * N + j + u * VL);
    for (int r = 0; r < ROWS; r++) {
      float rest = 0;
      for (int64_t k = j; k < N; k++) rest += x[(i + r) * N + k];
      for (int u = 0; u < UNROLL; u++) rest += sum_of(sum[r][u]);
      y[i + r] = rest;
    }
  }
  for (; i < M; i++) y[i] = one_row(x + i * N, N);
}
