#include "kernel.h"
void kernel(const real_t *x, const real_t *borders, int32_t *bucket, int64_t N, int64_t F, int64_t K) {
  for (int64_t i = 0; i < N; i++)
    for (int64_t f = 0; f < F; f++) {
      int32_t count = 0;
      for (int64_t k = 0; k < K; k++) count += borders[f * K + k] < x[i * F + f];
      bucket[i * F + f] = (int32_t)(f * (K + 1)) + count;
    }
}
