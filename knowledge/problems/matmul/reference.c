#include "kernel.h"
void kernel(const real_t *A, const real_t *B, real_t *C, int64_t M, int64_t N, int64_t K) {
  for (int64_t i = 0; i < M; i++)
    for (int64_t j = 0; j < N; j++) {
      real_t sum = 0;
      for (int64_t k = 0; k < K; k++) sum += A[i * K + k] * B[k * N + j];
      C[i * N + j] = sum;
    }
}
