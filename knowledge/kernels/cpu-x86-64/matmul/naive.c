// Loops in the order i, k, j, so that the inner one is contiguous.
// ke:problem matmul
// ke:technique loop-order
// ke:flags -O3 -march=native
// ke:tunable-flags {-ffast-math,-funroll-loops,-fno-tree-vectorize}
#include "kernel.h"
void kernel(const float *A, const float *B, float *C, int64_t M, int64_t N, int64_t K) {
  for (int64_t i = 0; i < M; i++) {
    float *KE_RESTRICT row = C + i * N;
    for (int64_t j = 0; j < N; j++) row[j] = 0;
    for (int64_t k = 0; k < K; k++) {
      float a = A[i * K + k];
      const float *KE_RESTRICT b = B + k * N;
      for (int64_t j = 0; j < N; j++) row[j] += a * b[j];
    }
  }
}
