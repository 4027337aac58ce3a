#include "kernel.h"
void kernel(const real_t *x, const real_t *weight, const real_t *bias, real_t *y, int64_t B, int64_t C, int64_t F, int64_t H, int64_t W,
            int64_t K, int64_t P, int64_t Q) {
  for (int64_t b = 0; b < B; b++)
    for (int64_t f = 0; f < F; f++)
      for (int64_t p = 0; p < P; p++)
        for (int64_t q = 0; q < Q; q++) {
          real_t sum = bias[f];
          for (int64_t c = 0; c < C; c++)
            for (int64_t i = 0; i < K; i++)
              for (int64_t j = 0; j < K; j++)
                sum += x[((b * C + c) * H + p + i) * W + q + j] * weight[((f * C + c) * K + i) * K + j];
          y[((b * F + f) * P + p) * Q + q] = sum;
        }
}
