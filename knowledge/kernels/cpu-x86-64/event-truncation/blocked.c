// All lengths first, then copies with the next users' events prefetched.
// ke:problem batched-event-truncation
// ke:technique prefetch, blocked
// ke:flags -O3 -march=native
// ke:tunable AHEAD int 2 {1,2,4,8}
// ke:tunable LINES int 8 {2,4,8,16}
// ke:tunable-flags {-ffast-math,-funroll-loops,-fno-tree-vectorize}
#include "kernel.h"
#include <string.h>
void kernel(const float *values, const int64_t *offsets, float *out, int64_t *lengths, int64_t B, int64_t B1, int64_t E, int64_t F,
            int64_t keep) {
  (void)B1;
  (void)E;
  for (int64_t b = 0; b < B; b++) {
    int64_t count = offsets[b + 1] - offsets[b];
    lengths[b] = count > keep ? keep : count;
  }
  for (int64_t b = 0; b < B; b++) {
    if (b + AHEAD < B) {
      const float *next = values + (offsets[b + AHEAD + 1] - lengths[b + AHEAD]) * F;
      for (int line = 0; line < LINES; line++) __builtin_prefetch(next + line * 16);
    }
    int64_t count = lengths[b] * F, room = keep * F;
    memcpy(out + b * room, values + (offsets[b + 1] - lengths[b]) * F, (size_t)count * sizeof(float));
    memset(out + b * room + count, 0, (size_t)(room - count) * sizeof(float));
  }
}
