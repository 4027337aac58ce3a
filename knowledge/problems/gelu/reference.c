#include "kernel.h"
#include <tgmath.h>
void kernel(const real_t *x, real_t *y, int64_t N) {
  const real_t half = (real_t)0.5, root_half = (real_t)0.70710678118654752440L;
  for (int64_t i = 0; i < N; i++) y[i] = half * x[i] * (1 + erf(x[i] * root_half));
}
