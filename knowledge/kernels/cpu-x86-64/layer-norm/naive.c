// Plain passes: mean, variance, output; -ffast-math lets the sums be vectorised.
// ke:problem layer-norm
// ke:technique fast-math
// ke:flags -O3 -march=native -ffast-math
// ke:tunable-flags {-funroll-loops,-fno-tree-vectorize}
#include "kernel.h"
#include <math.h>
void kernel(const float *x, const float *weight, const float *bias, float eps, float *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    const float *KE_RESTRICT in = x + i * N;
    float *KE_RESTRICT out = y + i * N;
    float mean = 0, variance = 0;
    for (int64_t j = 0; j < N; j++) mean += in[j];
    mean /= (float)N;
    for (int64_t j = 0; j < N; j++) variance += (in[j] - mean) * (in[j] - mean);
    float scale = 1 / sqrtf(variance / (float)N + eps);
    for (int64_t j = 0; j < N; j++) out[j] = (in[j] - mean) * scale * weight[j] + bias[j];
  }
}
