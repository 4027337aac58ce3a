#include "kernel.h"
#include <tgmath.h>
void kernel(const real_t *x, const real_t *personal, const real_t *shared, real_t *y, int64_t B, int64_t S, int64_t D, int64_t H) {
  const real_t half = (real_t)0.5, root_half = (real_t)0.70710678118654752440L;
  for (int64_t b = 0; b < B; b++)
    for (int64_t s = 0; s < S; s++) {
      real_t *out = y + (b * S + s) * D;
      for (int64_t d = 0; d < D; d++) out[d] = 0;
      for (int64_t h = 0; h < H; h++) {
        real_t hidden = 0;
        for (int64_t d = 0; d < D; d++) hidden += x[(b * S + s) * D + d] * personal[(b * D + d) * H + h];
        hidden = half * hidden * (1 + erf(hidden * root_half));
        for (int64_t d = 0; d < D; d++) out[d] += hidden * shared[h * D + d];
      }
    }
}
