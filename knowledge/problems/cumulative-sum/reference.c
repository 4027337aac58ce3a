#include "kernel.h"
void kernel(const int64_t *x, int64_t *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    int64_t sum = 0;
    for (int64_t j = 0; j < N; j++) {
      sum += x[i * N + j];
      y[i * N + j] = sum;
    }
  }
}
