#include "kernel.h"
void kernel(const real_t *X, const real_t *Y, real_t *out, int64_t B, int64_t N, int64_t D, int64_t K) {
  for (int64_t b = 0; b < B; b++)
    for (int64_t k = 0; k < K; k++) {
      for (int64_t n = 0; n < N; n++) out[(b * N + n) * K + k] = 0;
      for (int64_t d = 0; d < D; d++) {
        real_t inner = 0;
        for (int64_t m = 0; m < N; m++) inner += X[(b * N + m) * D + d] * Y[m * K + k];
        for (int64_t n = 0; n < N; n++) out[(b * N + n) * K + k] += X[(b * N + n) * D + d] * inner;
      }
    }
}
