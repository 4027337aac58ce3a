// Output positions innermost: each weight is used along a contiguous row.
// ke:problem conv1d
// ke:technique loop-order
// ke:flags -O3 -march=native
// ke:tunable-flags {-ffast-math,-funroll-loops,-fno-tree-vectorize}
#include "kernel.h"
void kernel(const float *x, const float *weight, const float *bias, float *y, int64_t B, int64_t C, int64_t F, int64_t L, int64_t K, int64_t O) {
  for (int64_t b = 0; b < B; b++)
    for (int64_t f = 0; f < F; f++) {
      float *KE_RESTRICT out = y + (b * F + f) * O;
      for (int64_t o = 0; o < O; o++) out[o] = bias[f];
      for (int64_t c = 0; c < C; c++)
        for (int64_t k = 0; k < K; k++) {
          const float *KE_RESTRICT in = x + (b * C + c) * L + k;
          float w = weight[(f * C + c) * K + k];
          for (int64_t o = 0; o < O; o++) out[o] += w * in[o];
        }
    }
}
