// A block of FR channels by OV vectors of output in registers; the weights of a block are packed once.
// ke:problem conv1d
// ke:technique packed, register-blocked, vectorised
// ke:flags -O3 -march=native -ffast-math
// ke:tunable FR int 4 {2,4,6,8}
// ke:tunable OV int 2 {1,2,3,4}
// ke:tunable-flags {-funroll-loops}
#include "kernel.h"
#include <stdlib.h>

#if defined(__AVX512F__)
#define VL 16
#elif defined(__AVX__)
#define VL 8
#else
#define VL 4
#endif
/* One register of floats; the second type may stand at any address. */
typedef float vec __attribute__((vector_size(4 * VL)));
typedef float uvec __attribute__((vector_size(4 * VL), aligned(4), may_alias));
static inline vec load(const float *p) { return *(const uvec *)p; }
static inline void store(float *p, vec v) { *(uvec *)p = v; }

/* Workspace that grows with the largest shape seen and stays for later calls. */
static void *workspace(size_t bytes) {
  static void *memory;
  static size_t size;
  if (bytes > size) {
    free(memory);
    if (posix_memalign(&memory, 64, bytes)) abort();
    size = bytes;
  }
  return memory;
}

#define OR (OV * VL)
void kernel(const float *x, const float *weight, const float *bias, float *y, int64_t B, int64_t C, int64_t F, int64_t L, int64_t K, int64_t O) {
  int64_t taps = C * K, blocks = (F + FR - 1) / FR;
  float *packed = workspace((size_t)(blocks * FR * (taps + 1)) * sizeof(float) + 64);
  for (int64_t g = 0; g < blocks; g++)
    for (int64_t t = 0; t < taps; t++)
      for (int64_t f = 0; f < FR; f++) packed[(g * taps + t) * FR + f] = g * FR + f < F ? weight[(g * FR + f) * taps + t] : 0;
  for (int64_t b = 0; b < B; b++)
    for (int64_t g = 0; g < blocks; g++) {
      int64_t channels = F - g * FR < FR ? F - g * FR : FR, o = 0;
      const float *w = packed + g * taps * FR;
      for (; o + OR <= O; o += OR) {
        vec sum[FR][OV];
        for (int f = 0; f < FR; f++)
          for (int v = 0; v < OV; v++) sum[f][v] = (vec){} + (f < channels ? bias[g * FR + f] : 0);
        for (int64_t c = 0; c < C; c++)
          for (int64_t k = 0; k < K; k++) {
            const float *in = x + (b * C + c) * L + o + k, *row = w + (c * K + k) * FR;
            vec part[OV];
            for (int v = 0; v < OV; v++) part[v] = load(in + v * VL);
            for (int f = 0; f < FR; f++)
              for (int v = 0; v < OV; v++) sum[f][v] += row[f] * part[v];
          }
        for (int64_t f = 0; f < channels; f++)
          for (int v = 0; v < OV; v++) store(y + (b * F + g * FR + f) * O + o + v * VL, sum[f][v]);
      }
      for (; o < O; o++)
        for (int64_t f = 0; f < channels; f++) {
          float sum = bias[g * FR + f];
          for (int64_t c = 0; c < C; c++)
            for (int64_t k = 0; k < K; k++) sum += x[(b * C + c) * L + o + k] * w[(c * K + k) * FR + f];
          y[(b * F + g * FR + f) * O + o] = sum;
        }
    }
}
