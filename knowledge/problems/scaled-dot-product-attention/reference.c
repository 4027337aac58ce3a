#include "kernel.h"
#include <tgmath.h>
void kernel(const real_t *q, const real_t *k, const real_t *v, real_t *o, int64_t H, int64_t S, int64_t T, int64_t D) {
  const real_t scale = 1 / sqrt((real_t)D);
  for (int64_t h = 0; h < H; h++)
    for (int64_t s = 0; s < S; s++) {
      const real_t *query = q + (h * S + s) * D;
      real_t *out = o + (h * S + s) * D, top = 0, sum = 0;
      for (int64_t d = 0; d < D; d++) out[d] = 0;
      for (int64_t t = 0; t < T; t++) {
        const real_t *key = k + (h * T + t) * D, *value = v + (h * T + t) * D;
        real_t score = 0;
        for (int64_t d = 0; d < D; d++) score += query[d] * key[d];
        score *= scale;
        if (t == 0 || score > top) {
          /* A new maximum: what was summed under the old one is scaled to it. */
          real_t shrink = t == 0 ? 0 : exp(top - score);
          for (int64_t d = 0; d < D; d++) out[d] *= shrink;
          sum *= shrink;
          top = score;
        }
        real_t weight = exp(score - top);
        sum += weight;
        for (int64_t d = 0; d < D; d++) out[d] += weight * value[d];
      }
      for (int64_t d = 0; d < D; d++) out[d] /= sum;
    }
}
