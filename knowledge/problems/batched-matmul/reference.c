#include "kernel.h"
void kernel(const real_t *X, const real_t *Y, real_t *Z, int64_t B, int64_t M, int64_t N, int64_t K) {
  for (int64_t b = 0; b < B; b++)
    for (int64_t i = 0; i < M; i++)
      for (int64_t j = 0; j < N; j++) {
        real_t sum = 0;
        for (int64_t k = 0; k < K; k++) sum += X[(b * M + i) * K + k] * Y[(b * K + k) * N + j];
        Z[(b * M + i) * N + j] = sum;
      }
}
