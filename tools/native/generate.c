/* Inputs from a key: every element is a hash of (key, tensor, index), so the same key gives the same contents at any time,
 * and a new key costs about a nanosecond an element. */
#include "judge.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t secret(void) {
  uint64_t value;
  if (getrandom(&value, sizeof value, 0) != sizeof value) die("no random numbers: %m");
  return value;
}

static double unit(uint64_t h) { return (double)(h >> 11) * 0x1p-53; }

/* Sum of four uniform 16-bit numbers: mean 0, deviation 1, nearly normal, bounded at 3.46. */
static float nearly_normal(uint64_t h) {
  int32_t sum = (int32_t)(h & 0xffff) + (int32_t)((h >> 16) & 0xffff) + (int32_t)((h >> 32) & 0xffff) + (int32_t)(h >> 48);
  return (float)(sum - 131070) * (1.0f / 37837.2f);
}

/* Each row has its own mean (within half a deviation) and its own scale (0.5 to 1.5), so that no row's sum or mean can be guessed. */
#define NORMAL_FILL(TYPE)                                                                                     \
  do {                                                                                                        \
    TYPE *out = data;                                                                                         \
    uint64_t row = t->row == 0 ? 1 : t->row;                                                                  \
    for (uint64_t at = 0, r = 0; at < t->elements; r++) {                                                     \
      uint64_t h = mix64(key ^ (0xa5a5a5a5u + r)), stop = at + row < t->elements ? at + row : t->elements;   \
      float mean = (float)(t->a + t->b * (unit(h) - 0.5)), scale = (float)(t->b * (0.5 + unit(mix64(h))));    \
      for (; at < stop; at++) out[at] = (TYPE)(mean + scale * nearly_normal(mix64(key + at)));                \
    }                                                                                                         \
  } while (0)

#define CHANGE(TYPE)                                                                                                       \
  do {                                                                                                                     \
    TYPE *out = data;                                                                                                      \
    if (change->constant)                                                                                                  \
      for (uint64_t i = 0; i < t->elements; i++) out[i] = (TYPE)(t->fill == FILL_UNIFORM ? 0.5 * (t->a + t->b) : t->a + t->b); \
    if (change->scale != 1 || change->offset != 0)                                                                         \
      for (uint64_t i = 0; i < t->elements; i++) out[i] = (TYPE)((double)out[i] * change->scale + change->offset);         \
    if (change->outlier && t->elements > 0) {                                                                              \
      uint64_t late = t->elements / 2 + mix64(key ^ 0x77) % (t->elements - t->elements / 2);                               \
      out[late] = (TYPE)(t->fill == FILL_UNIFORM ? t->b : t->a + 1000 * t->b);                                             \
    }                                                                                                                      \
  } while (0)

static void store_number(void *data, enum dtype d, uint64_t i, double v) {
  switch (d) {
    case F32: ((float *)data)[i] = (float)v; break;
    case F64: ((double *)data)[i] = v; break;
    case F80: break; /* never generated */
    case I32: ((int32_t *)data)[i] = (int32_t)v; break;
    case I64: ((int64_t *)data)[i] = (int64_t)v; break;
    case I8: ((int8_t *)data)[i] = (int8_t)v; break;
    case BOOL: ((uint8_t *)data)[i] = v != 0; break;
    case U8: ((uint8_t *)data)[i] = (uint8_t)v; break;
  }
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* Ordered kinds: values that strictly increase along each row, or offsets that start at 0 and end at the total. */
static void fill_ordered(void *data, const struct tensor *t, uint64_t key) {
  uint64_t n = t->elements;
  if (n == 0) return;
  if (t->fill == FILL_SORTED) {
    /* One value in each of a row's equal slots: increasing by construction, uneven within. Whole numbers take whole slots. */
    __extension__ typedef unsigned __int128 wide;
    bool whole = !dtype_is_float(t->dtype);
    int64_t low = (int64_t)t->a;
    wide span = whole ? (wide)((int64_t)t->b - low) : 0;
    for (uint64_t i = 0; i < n; i++) {
      uint64_t at = i % t->row;
      double u = unit(mix64(key + i)), value;
      if (whole) {
        int64_t first = low + (int64_t)(span * at / t->row), next = low + (int64_t)(span * (at + 1) / t->row);
        value = (double)(first + (int64_t)(u * (double)(next - first)));
      } else {
        value = t->a + (t->b - t->a) * ((double)at + 0.05 + 0.9 * u) / (double)t->row;
      }
      store_number(data, t->dtype, i, value);
    }
    return;
  }
  double *cuts = malloc(n * sizeof *cuts);
  if (cuts == NULL) die("out of memory");
  cuts[0] = 0;
  for (uint64_t i = 1; i + 1 < n; i++) cuts[i] = (double)(mix64(key + i) % ((uint64_t)t->a + 1));
  if (n > 1) cuts[n - 1] = t->a;
  if (n > 2) qsort(cuts + 1, n - 2, sizeof *cuts, ascending);
  for (uint64_t i = 0; i < n; i++) store_number(data, t->dtype, i, cuts[i]);
  free(cuts);
}

static void fill_integers(void *data, const struct tensor *t, uint64_t key) {
  int64_t low = (int64_t)t->a;
  uint64_t span = t->b < t->a ? 1 : (uint64_t)((int64_t)t->b - low) + 1;
#define INTEGERS(TYPE) \
  for (uint64_t i = 0; i < t->elements; i++) ((TYPE *)data)[i] = (TYPE)(low + (int64_t)(((mix64(key + i) >> 32) * span) >> 32))
  switch (t->dtype) {
    case I32: INTEGERS(int32_t); break;
    case I64: INTEGERS(int64_t); break;
    case I8: INTEGERS(int8_t); break;
    case BOOL:
    case U8: INTEGERS(uint8_t); break;
    case F32: INTEGERS(float); break;
    case F64: INTEGERS(double); break;
    case F80: break;
  }
}

void generate_inputs(const struct region *inputs, const struct workload *w, uint64_t seed, const struct transform *change) {
  for (uint32_t i = 0; i < w->tensors; i++) {
    const struct tensor *t = &w->tensor[i];
    if (t->output) continue;
    void *data = region_data(inputs, i);
    uint64_t key = mix64(seed ^ mix64(i + 1));
    switch (t->fill) {
      case FILL_NORMAL:
        if (t->dtype == F32) NORMAL_FILL(float);
        else if (t->dtype == F64) NORMAL_FILL(double);
        else die("normal values need a float tensor (%s)", t->name);
        break;
      case FILL_UNIFORM:
        for (uint64_t k = 0; k < t->elements; k++) store_number(data, t->dtype, k, t->a + (t->b - t->a) * unit(mix64(key + k)));
        break;
      case FILL_INTEGERS: fill_integers(data, t, key); break;
      case FILL_SORTED:
      case FILL_OFFSETS: fill_ordered(data, t, key); break;
      case FILL_CONSTANT:
        for (uint64_t k = 0; k < t->elements; k++) store_number(data, t->dtype, k, t->a);
        break;
    }
    /* Only free values are transformed: structure (offsets, boundaries, indices, scalars) is the problem's own. */
    if (change != NULL && (t->fill == FILL_NORMAL || t->fill == FILL_UNIFORM)) {
      if (t->dtype == F32) CHANGE(float);
      else if (t->dtype == F64) CHANGE(double);
    }
  }
}

void poison(void *data, uint64_t bytes, unsigned pattern) {
  static const uint32_t words[] = {0x7fbadbadu, 0x5a5a5a5au};
  uint32_t value = words[pattern & 1];
  unsigned char *p = data;
  for (uint64_t i = 0; i + 4 <= bytes; i += 4) memcpy(p + i, &value, 4);
  for (uint64_t i = bytes / 4 * 4; i < bytes; i++) p[i] = (unsigned char)(value >> (8 * (i & 3)));
}
