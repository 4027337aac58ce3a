// Scores of one query in a row of workspace, softmax, then the weighted sum.
// ke:problem scaled-dot-product-attention
// ke:technique fast-math
// ke:flags -O3 -march=native -ffast-math
// ke:tunable-flags {-funroll-loops,-fno-tree-vectorize}
#include "kernel.h"
#include <math.h>
#include <stdlib.h>

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
void kernel(const float *q, const float *k, const float *v, float *o, int64_t H, int64_t S, int64_t T, int64_t D) {
  float *score = workspace((size_t)T * sizeof(float) + 64), scale = 1 / sqrtf((float)D);
  for (int64_t h = 0; h < H; h++)
    for (int64_t s = 0; s < S; s++) {
      const float *query = q + (h * S + s) * D;
      float *KE_RESTRICT out = o + (h * S + s) * D, top = -3e38f, sum = 0;
      for (int64_t t = 0; t < T; t++) {
        const float *key = k + (h * T + t) * D;
        float dot = 0;
        for (int64_t d = 0; d < D; d++) dot += query[d] * key[d];
        score[t] = dot * scale;
        top = score[t] > top ? score[t] : top;
      }
      for (int64_t t = 0; t < T; t++) sum += score[t] = expf(score[t] - top);
      for (int64_t d = 0; d < D; d++) out[d] = 0;
      for (int64_t t = 0; t < T; t++) {
        const float *value = v + (h * T + t) * D;
        float w = score[t] / sum;
        for (int64_t d = 0; d < D; d++) out[d] += w * value[d];
      }
    }
}
