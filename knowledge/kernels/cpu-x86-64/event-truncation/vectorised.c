// Vector copies with the stores past the caches when STREAM is 1 (the output is written once and not read here).
// ke:problem batched-event-truncation
// ke:technique vectorised, streaming-stores
// ke:flags -O3 -march=native
// ke:tunable STREAM int 1 {0,1}
// ke:tunable AHEAD int 512 {0,256,512,1024}
// ke:tunable-flags {-ffast-math,-funroll-loops,-fno-tree-vectorize}
#include "kernel.h"
#include <immintrin.h>
/* Writes n floats: from `from`, or zeros when it is null. */
static void put(float *to, const float *from, int64_t n) {
  int64_t i = 0;
  while (i < n && ((uintptr_t)(to + i) & 15)) to[i] = from ? from[i] : 0, i++;
  for (; i + 4 <= n; i += 4) {
    if (AHEAD && from) __builtin_prefetch(from + i + AHEAD);
    __m128 v = from ? _mm_loadu_ps(from + i) : _mm_setzero_ps();
    if (STREAM) _mm_stream_ps(to + i, v);
    else _mm_store_ps(to + i, v);
  }
  for (; i < n; i++) to[i] = from ? from[i] : 0;
}
void kernel(const float *values, const int64_t *offsets, float *out, int64_t *lengths, int64_t B, int64_t B1, int64_t E, int64_t F,
            int64_t keep) {
  (void)B1;
  (void)E;
  for (int64_t b = 0; b < B; b++) {
    int64_t end = offsets[b + 1], start = offsets[b];
    if (end - start > keep) start = end - keep;
    int64_t count = (end - start) * F, room = keep * F;
    lengths[b] = end - start;
    put(out + b * room, values + start * F, count);
    put(out + b * room + count, 0, room - count);
  }
  if (STREAM) _mm_sfence();
}
