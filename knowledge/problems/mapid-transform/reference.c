#include "kernel.h"
void kernel(const int64_t *ids, const int64_t *table, const int64_t *mapped, int64_t *out, int64_t N, int64_t T) {
  for (int64_t i = 0; i < N; i++) {
    int64_t low = 0, high = T;
    while (low < high) {
      int64_t middle = low + (high - low) / 2;
      if (table[middle] < ids[i]) low = middle + 1;
      else high = middle;
    }
    if (low > T - 1) low = T - 1;
    out[i] = T > 0 && table[low] == ids[i] ? mapped[low] : -1;
  }
}
