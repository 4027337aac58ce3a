#include "judge.h"

#include <sys/random.h>

uint64_t secret(void) {
  uint64_t value;
  if (getrandom(&value, sizeof value, 0) != sizeof value) die("no random numbers: %m");
  return value;
}

uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static uint64_t turn(uint64_t x, unsigned by) { return x << by | x >> (64 - by); }

static void sip_rounds(uint64_t *v, unsigned n) {
  while (n-- > 0) {
    v[0] += v[1];
    v[1] = turn(v[1], 13) ^ v[0];
    v[0] = turn(v[0], 32);
    v[2] += v[3];
    v[3] = turn(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = turn(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = turn(v[1], 17) ^ v[2];
    v[2] = turn(v[2], 32);
  }
}

uint64_t derive(uint64_t seed, uint64_t purpose, uint64_t index) {
  const uint64_t k0 = seed, k1 = mix64(seed), words[3] = {purpose, index, (uint64_t)16 << 56};
  uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
  for (unsigned i = 0; i < 3; i++) {
    v[3] ^= words[i];
    sip_rounds(v, 2);
    v[0] ^= words[i];
  }
  v[2] ^= 0xff;
  sip_rounds(v, 4);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}
