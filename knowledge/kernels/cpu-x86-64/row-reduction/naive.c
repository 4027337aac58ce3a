// A plain sum; -ffast-math lets gcc vectorise it.
// ke:problem row-reduction
// ke:technique fast-math
// ke:flags -O3 -march=native -ffast-math
// ke:tunable-flags {-funroll-loops,-fno-tree-vectorize}
#include "kernel.h"
void kernel(const float *x, float *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    float sum = 0;
    for (int64_t j = 0; j < N; j++) sum += x[i * N + j];
    y[i] = sum;
  }
}
