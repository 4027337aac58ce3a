#include "kernel.h"
void kernel(const int32_t *x, int32_t *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++)
    for (int64_t j = 0; j < N; j++) y[j * M + i] = x[i * N + j];
}
