#include "kernel.h"
#include <tgmath.h>
void kernel(const real_t *x, const real_t *weight, real_t eps, real_t *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    real_t squares = 0;
    for (int64_t j = 0; j < N; j++) squares += x[i * N + j] * x[i * N + j];
    real_t scale = 1 / sqrt(squares / (real_t)N + eps);
    for (int64_t j = 0; j < N; j++) y[i * N + j] = x[i * N + j] * scale * weight[j];
  }
}
