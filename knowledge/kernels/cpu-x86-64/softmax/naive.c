// Three plain passes with single-precision exp; -ffast-math lets gcc use the vector math library.
// ke:problem softmax
// ke:technique fast-math
// ke:flags -O3 -march=native -ffast-math
// ke:tunable-flags {-funroll-loops,-fno-tree-vectorize}
#include "kernel.h"
#include <math.h>
void kernel(const float *x, float *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    const float *KE_RESTRICT in = x + i * N;
    float *KE_RESTRICT out = y + i * N;
    float top = in[0], sum = 0;
    for (int64_t j = 1; j < N; j++) top = in[j] > top ? in[j] : top;
    for (int64_t j = 0; j < N; j++) {
      out[j] = expf(in[j] - top);
      sum += out[j];
    }
    float scale = 1 / sum;
    for (int64_t j = 0; j < N; j++) out[j] *= scale;
  }
}
