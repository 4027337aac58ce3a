#include "kernel.h"
#include <math.h>
void kernel(const real_t *x, real_t *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    real_t top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < N; j++)
      if (x[i * N + j] > top) top = x[i * N + j];
    for (int64_t j = 0; j < N; j++) {
      y[i * N + j] = (real_t)exp((double)(x[i * N + j] - top));
      sum += y[i * N + j];
    }
    for (int64_t j = 0; j < N; j++) y[i * N + j] /= sum;
  }
}
