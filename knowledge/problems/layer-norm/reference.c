#include "kernel.h"
#include <tgmath.h>
void kernel(const real_t *x, const real_t *weight, const real_t *bias, real_t eps, real_t *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    real_t mean = 0, variance = 0;
    for (int64_t j = 0; j < N; j++) mean += x[i * N + j];
    mean /= (real_t)N;
    for (int64_t j = 0; j < N; j++) variance += (x[i * N + j] - mean) * (x[i * N + j] - mean);
    variance /= (real_t)N;
    real_t scale = 1 / sqrt(variance + eps);
    for (int64_t j = 0; j < N; j++) y[i * N + j] = (x[i * N + j] - mean) * scale * weight[j] + bias[j];
  }
}
