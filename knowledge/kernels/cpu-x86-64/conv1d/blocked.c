// TILE_F output channels share every piece of input that is loaded.
// ke:problem conv1d
// ke:technique blocked
// ke:flags -O3 -march=native
// ke:tunable TILE_F int 4 {1,2,4,8}
// ke:tunable TILE_O int 64 {32,64,128,256}
// ke:tunable-flags {-ffast-math,-funroll-loops,-fno-tree-vectorize}
#include "kernel.h"
void kernel(const float *x, const float *weight, const float *bias, float *y, int64_t B, int64_t C, int64_t F, int64_t L, int64_t K, int64_t O) {
  for (int64_t b = 0; b < B; b++)
    for (int64_t f0 = 0; f0 < F; f0 += TILE_F)
      for (int64_t o0 = 0; o0 < O; o0 += TILE_O) {
        int64_t channels = F - f0 < TILE_F ? F - f0 : TILE_F, width = O - o0 < TILE_O ? O - o0 : TILE_O;
        float sum[TILE_F][TILE_O];
        for (int64_t f = 0; f < TILE_F; f++)
          for (int64_t o = 0; o < TILE_O; o++) sum[f][o] = f < channels ? bias[f0 + f] : 0;
        for (int64_t c = 0; c < C; c++)
          for (int64_t k = 0; k < K; k++) {
            const float *in = x + (b * C + c) * L + o0 + k;
            for (int64_t f = 0; f < channels; f++) {
              float w = weight[((f0 + f) * C + c) * K + k];
              for (int64_t o = 0; o < width; o++) sum[f][o] += w * in[o];
            }
          }
        for (int64_t f = 0; f < channels; f++)
          for (int64_t o = 0; o < width; o++) y[(b * F + f0 + f) * O + o0 + o] = sum[f][o];
      }
}
