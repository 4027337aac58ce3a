#include "kernel.h"
void kernel(const real_t *x, const real_t *weight, const real_t *bias, real_t *y, int64_t B, int64_t C, int64_t F, int64_t L, int64_t K,
            int64_t O) {
  for (int64_t b = 0; b < B; b++)
    for (int64_t f = 0; f < F; f++)
      for (int64_t o = 0; o < O; o++) {
        real_t sum = bias[f];
        for (int64_t c = 0; c < C; c++)
          for (int64_t k = 0; k < K; k++) sum += x[(b * C + c) * L + o + k] * weight[(f * C + c) * K + k];
        y[(b * F + f) * O + o] = sum;
      }
}
