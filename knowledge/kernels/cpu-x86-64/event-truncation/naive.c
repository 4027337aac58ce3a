// One copy and one clear a user: the kept events are contiguous.
// ke:problem batched-event-truncation
// ke:technique contiguous-copy
// ke:flags -O3 -march=native
// ke:tunable-flags {-ffast-math,-funroll-loops,-fno-tree-vectorize}
#include "kernel.h"
#include <string.h>
void kernel(const float *values, const int64_t *offsets, float *out, int64_t *lengths, int64_t B, int64_t B1, int64_t E, int64_t F,
            int64_t keep) {
  (void)B1;
  (void)E;
  for (int64_t b = 0; b < B; b++) {
    int64_t end = offsets[b + 1], start = offsets[b];
    if (end - start > keep) start = end - keep;
    int64_t count = (end - start) * F, room = keep * F;
    lengths[b] = end - start;
    memcpy(out + b * room, values + start * F, (size_t)count * sizeof(float));
    memset(out + b * room + count, 0, (size_t)(room - count) * sizeof(float));
  }
}
