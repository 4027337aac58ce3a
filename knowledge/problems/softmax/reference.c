#include "kernel.h"
#include <tgmath.h>
void kernel(const real_t *x, real_t *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    real_t top = N > 0 ? x[i * N] : 0, sum = 0;
    for (int64_t j = 1; j < N; j++)
      if (x[i * N + j] > top) top = x[i * N + j];
    for (int64_t j = 0; j < N; j++) {
      y[i * N + j] = exp(x[i * N + j] - top);
      sum += y[i * N + j];
    }
    for (int64_t j = 0; j < N; j++) y[i * N + j] /= sum;
  }
}
