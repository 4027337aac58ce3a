#include "kernel.h"
#include <math.h>
void kernel(const real_t *q, const real_t *k, const real_t *v, real_t *o, int64_t H, int64_t S, int64_t T, int64_t D) {
  real_t scale = 1 / (real_t)sqrt((double)D);
  for (int64_t h = 0; h < H; h++)
    for (int64_t s = 0; s < S; s++) {
      const real_t *query = q + (h * S + s) * D;
      real_t *out = o + (h * S + s) * D, top = -INFINITY, sum = 0;
      for (int64_t d = 0; d < D; d++) out[d] = 0;
      for (int64_t t = 0; t < T; t++) {
        const real_t *key = k + (h * T + t) * D;
        real_t score = 0;
        for (int64_t d = 0; d < D; d++) score += query[d] * key[d];
        score *= scale;
        /* Running maximum: what was summed under the old one is scaled to the new. */
        real_t next = score > top ? score : top, old = (real_t)exp((double)(top - next)), weight = (real_t)exp((double)(score - next));
        for (int64_t d = 0; d < D; d++) out[d] = out[d] * old + weight * v[(h * T + t) * D + d];
        sum = sum * old + weight;
        top = next;
      }
      for (int64_t d = 0; d < D; d++) out[d] /= sum;
    }
}
