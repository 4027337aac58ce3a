// A block of MR rows by NV vectors of C is kept in registers; panels of A and B are packed, padded with zeros.
// ke:problem matmul
// ke:technique packed, register-blocked, vectorised
// ke:flags -O3 -march=native -ffast-math
// ke:tunable MR int 4 {2,4,6,8,12}
// ke:tunable NV int 2 {1,2,3,4}
// ke:tunable KC int 128 {64,128,256,512}
// ke:tunable UNROLL int 1 {1,2,4,8}
// ke:tunable-flags {-funroll-loops,-fno-tree-vectorize}
#include "kernel.h"
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#define VL 16
#elif defined(__AVX__)
#define VL 8
#else
#define VL 4
#endif
/* One register of floats; the second type may stand at any address. */
typedef float vec __attribute__((vector_size(4 * VL)));
typedef float uvec __attribute__((vector_size(4 * VL), aligned(4), may_alias));
static inline vec load(const float *p) { return *(const uvec *)p; }
static inline void store(float *p, vec v) { *(uvec *)p = v; }

/* Workspace that grows with the largest shape seen and stays for later calls. */
static void *workspace(size_t bytes) {
  static void *memory;
  static size_t size;
  if (bytes > size) {
    free(memory);
    if (posix_memalign(&memory, 64, bytes)) abort();
    size = bytes;
  }
  return memory;
}

#define NR (NV * VL)
#define TEXT(x) #x
#define UNROLLED(n) _Pragma(TEXT(GCC unroll n))
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* C[0..MR) x [0..NR) += a panel (k by MR) times b panel (k by NR), both packed. */
static void micro(int64_t kc, const float *KE_RESTRICT a, const float *KE_RESTRICT b, float *out, int64_t stride, int64_t rows, int64_t columns) {
  vec c[MR][NV];
  for (int i = 0; i < MR; i++)
    for (int v = 0; v < NV; v++) c[i][v] = (vec){};
  UNROLLED(UNROLL)
  for (int64_t k = 0; k < kc; k++) {
    vec right[NV];
    for (int v = 0; v < NV; v++) right[v] = *(const vec *)(b + k * NR + v * VL);
    for (int i = 0; i < MR; i++) {
      vec left = (vec){} + a[k * MR + i];
      for (int v = 0; v < NV; v++) c[i][v] += left * right[v];
    }
  }
  if (rows == MR && columns == NR) {
    for (int i = 0; i < MR; i++)
      for (int v = 0; v < NV; v++) store(out + i * stride + v * VL, load(out + i * stride + v * VL) + c[i][v]);
    return;
  }
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) out[i * stride + j] += c[i][j / VL][j % VL];
}

void kernel(const float *A, const float *B, float *C, int64_t M, int64_t N, int64_t K) {
  int64_t panels = (N + NR - 1) / NR;
  memset(C, 0, (size_t)(M * N) * sizeof *C);
  if (M == 0 || N == 0 || K == 0) return;
  float *packed_b = workspace(((size_t)(panels * NR) * KC + (size_t)MR * KC) * sizeof(float) + 64), *packed_a = packed_b + panels * NR * KC;
  for (int64_t k0 = 0; k0 < K; k0 += KC) {
    int64_t kc = least(KC, K - k0);
    for (int64_t p = 0; p < panels; p++) {
      int64_t width = least(NR, N - p * NR);
      for (int64_t k = 0; k < kc; k++) {
        float *to = packed_b + (p * kc + k) * NR;
        const float *from = B + (k0 + k) * N + p * NR;
        for (int64_t j = 0; j < width; j++) to[j] = from[j];
        for (int64_t j = width; j < NR; j++) to[j] = 0;
      }
    }
    for (int64_t i0 = 0; i0 < M; i0 += MR) {
      int64_t rows = least(MR, M - i0);
      for (int64_t k = 0; k < kc; k++)
        for (int64_t i = 0; i < MR; i++) packed_a[k * MR + i] = i < rows ? A[(i0 + i) * K + k0 + k] : 0;
      for (int64_t p = 0; p < panels; p++)
        micro(kc, packed_a, packed_b + p * kc * NR, C + i0 * N + p * NR, N, rows, least(NR, N - p * NR));
    }
  }
}
