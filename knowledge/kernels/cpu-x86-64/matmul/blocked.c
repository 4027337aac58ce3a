// Cache blocking over all three loops; the tile of B stays in cache while rows of A pass.
// ke:problem matmul
// ke:technique blocked
// ke:flags -O3 -march=native
// ke:tunable TILE_M int 32 {8,16,32,64,128}
// ke:tunable TILE_N int 128 {32,64,128,256,512}
// ke:tunable TILE_K int 64 {16,32,64,128,256}
// ke:tunable-flags {-ffast-math,-funroll-loops,-fno-tree-vectorize}
#include "kernel.h"
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
void kernel(const float *A, const float *B, float *C, int64_t M, int64_t N, int64_t K) {
  for (int64_t i = 0; i < M * N; i++) C[i] = 0;
  for (int64_t j0 = 0; j0 < N; j0 += TILE_N)
    for (int64_t k0 = 0; k0 < K; k0 += TILE_K)
      for (int64_t i0 = 0; i0 < M; i0 += TILE_M) {
        int64_t i1 = least(i0 + TILE_M, M), k1 = least(k0 + TILE_K, K), width = least(TILE_N, N - j0);
        for (int64_t i = i0; i < i1; i++) {
          float *KE_RESTRICT row = C + i * N + j0;
          for (int64_t k = k0; k < k1; k++) {
            float a = A[i * K + k];
            const float *KE_RESTRICT b = B + k * N + j0;
            for (int64_t j = 0; j < width; j++) row[j] += a * b[j];
          }
        }
      }
}
