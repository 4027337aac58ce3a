#include "kernel.h"
void kernel(const real_t *x, int64_t *index, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    int64_t best = 0;
    for (int64_t j = 1; j < N; j++)
      if (x[i * N + j] > x[i * N + best]) best = j;
    index[i] = best;
  }
}
