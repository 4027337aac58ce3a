/* Inputs from a key: every element is a hash of (key, tensor, index), so the same key gives the same contents at any time, any
 * part of a tensor can be made alone, and a new key costs a fraction of a nanosecond an element. */
#include "judge.h"

#include <stdlib.h>

#include "fill.h"

#if defined(__x86_64__)
#define VECTORISED __attribute__((target_clones("avx2", "default")))
#else
#define VECTORISED
#endif

struct keys {
  uint32_t a, b, c;
};
static struct keys keys_of(uint64_t key) {
  uint64_t more = mix64(key);
  return (struct keys){(uint32_t)key, (uint32_t)(key >> 32), (uint32_t)more};
}

static inline uint32_t scramble(uint32_t i, uint32_t k0, uint32_t k1) {
  uint32_t h = (i ^ k0) * 0x9e3779b1u;
  h = (h ^ h >> 16) * 0x21f0aaadu;
  h = (h ^ h >> 15 ^ k1) * 0x735a2d97u;
  return h ^ h >> 15;
}
/* 53 random bits as a number in [0, 1). */
static inline double wide_unit(uint32_t i, struct keys k) {
  return (double)((int64_t)scramble(i, k.b, k.c) << 21 ^ (int64_t)(scramble(i, k.c, k.a) >> 11)) * 0x1p-53;
}
static inline float narrow_unit(uint32_t h) { return (float)(int32_t)(h >> 8) * 0x1p-24f; }
/* Sum of four bytes: mean 510, and with a uniform remainder deviation 147.8; nearly normal, bounded at 3.45 deviations. */
static inline int32_t byte_sum(uint32_t h) { return (int32_t)((h & 255) + (h >> 8 & 255) + (h >> 16 & 255) + (h >> 24)); }
#define DEVIATION 147.8

VECTORISED static void normal_floats(float *restrict out, uint64_t from, uint64_t to, float mean, float scale, struct keys k) {
  const float unit = scale * (float)(1 / DEVIATION);
  for (uint64_t i = from; i < to; i++) {
    uint32_t h = scramble((uint32_t)i, k.a, k.b);
    out[i - from] = mean + unit * ((float)byte_sum(h) + narrow_unit(h * 0x85ebca6bu) - 510.5f);
  }
}
VECTORISED static void normal_doubles(double *restrict out, uint64_t from, uint64_t to, double mean, double scale, struct keys k) {
  for (uint64_t i = from; i < to; i++)
    out[i - from] = mean + scale * (1 / DEVIATION) * (byte_sum(scramble((uint32_t)i, k.a, k.b)) + wide_unit((uint32_t)i, k) - 510.5);
}
VECTORISED static void uniform_floats(float *restrict out, uint64_t from, uint64_t to, float low, float span, struct keys k) {
  for (uint64_t i = from; i < to; i++) out[i - from] = low + span * narrow_unit(scramble((uint32_t)i, k.a, k.b));
}
VECTORISED static void uniform_doubles(double *restrict out, uint64_t from, uint64_t to, double low, double span, struct keys k) {
  for (uint64_t i = from; i < to; i++) out[i - from] = low + span * wide_unit((uint32_t)i, k);
}

/* Each row has its own mean (within half a deviation) and its own scale (0.5 to 1.5), so that no row's sum or mean can be guessed. */
static void fill_normal(unsigned char *out, const struct tensor *t, uint64_t key, uint64_t from, uint64_t to) {
  struct keys k = keys_of(key);
  uint64_t row = t->row == 0 ? 1 : t->row;
  for (uint64_t at = from; at < to;) {
    uint64_t h = mix64(key ^ (0xa5a5a5a5u + at / row)), stop = (at / row + 1) * row;
    double mean = t->a + t->b * ((double)(h & 0xffffffffu) * 0x1p-32 - 0.5), scale = t->b * (0.5 + (double)(h >> 32) * 0x1p-32);
    if (stop > to) stop = to;
    void *place = out + (at - from) * dtype_bytes(t->dtype);
    if (t->dtype == F32) normal_floats(place, at, stop, (float)mean, (float)scale, k);
    else normal_doubles(place, at, stop, mean, scale, k);
    at = stop;
  }
}

VECTORISED static void integers_32(int32_t *restrict out, uint64_t from, uint64_t to, int32_t low, uint32_t span, struct keys k) {
  for (uint64_t i = from; i < to; i++)
    out[i - from] = (int32_t)((uint32_t)low + (uint32_t)((uint64_t)scramble((uint32_t)i, k.a, k.b) * span >> 32));
}
static void fill_integers(void *out, const struct tensor *t, uint64_t key, uint64_t from, uint64_t to) {
  int64_t low = (int64_t)t->a;
  uint64_t span = t->b < t->a ? 1 : (uint64_t)((int64_t)t->b - low) + 1;
  struct keys k = keys_of(key);
  if (t->dtype == I32 && span <= UINT32_MAX) {
    integers_32(out, from, to, (int32_t)low, (uint32_t)span, k);
    return;
  }
  for (uint64_t i = from; i < to; i++) {
    uint64_t h = span <= UINT32_MAX ? scramble((uint32_t)i, k.a, k.b) * span >> 32 : mix64(key + i) % span;
    int64_t v = low + (int64_t)h;
    if (t->dtype == I64) ((int64_t *)out)[i - from] = v;
    else store_number(out, t->dtype, i - from, (double)v);
  }
}

bool fill_is_free(const struct tensor *t) {
  return !t->output && !t->scalar && (t->fill == FILL_NORMAL || t->fill == FILL_UNIFORM || t->fill == FILL_INTEGERS);
}

void fill_range(void *out, const struct tensor *t, uint64_t key, uint64_t from, uint64_t to) {
  if (t->fill == FILL_INTEGERS) fill_integers(out, t, key, from, to);
  else if (!dtype_is_float(t->dtype)) die("only float tensors take random real numbers (%s)", t->name);
  else if (t->fill == FILL_NORMAL) fill_normal(out, t, key, from, to);
  else if (t->dtype == F32) uniform_floats(out, from, to, (float)t->a, (float)(t->b - t->a), keys_of(key));
  else uniform_doubles(out, from, to, t->a, t->b - t->a, keys_of(key));
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
      double inside = (double)(mix64(key + i) >> 11) * 0x1p-53, value;
      if (whole) {
        int64_t first = low + (int64_t)(span * at / t->row), next = low + (int64_t)(span * (at + 1) / t->row);
        value = (double)(first + (int64_t)(inside * (double)(next - first)));
      } else {
        value = t->a + (t->b - t->a) * ((double)at + 0.05 + 0.9 * inside) / (double)t->row;
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

/* Hidden changes to free real values: structure (offsets, boundaries, indices, scalars) is the problem's own. */
static void change_values(void *data, const struct tensor *t, uint64_t key, const struct transform *change) {
  const bool uniform = t->fill == FILL_UNIFORM;
  if (t->elements == 0 || !dtype_is_float(t->dtype)) return;
  if (change->constant) {
    for (uint64_t i = 0; i < t->elements; i++) store_number(data, t->dtype, i, uniform ? 0.5 * (t->a + t->b) : t->a + t->b);
  }
  if (change->scale != 1 || change->offset != 0) {
    for (uint64_t i = 0; i < t->elements; i++) store_number(data, t->dtype, i, number_at(data, t->dtype, i) * change->scale + change->offset);
  }
  if (change->outlier) {
    uint64_t late = t->elements / 2 + mix64(key ^ 0x77) % (t->elements - t->elements / 2);
    store_number(data, t->dtype, late, uniform ? t->b : t->a + 1000 * t->b);
  }
}

/* One element becomes another legal value, at a place nobody can guess. */
static void nudge_value(void *data, const struct tensor *t, uint64_t key) {
  if (t->elements == 0) return;
  uint64_t at = mix64(key ^ 0x99) % t->elements;
  double old = number_at(data, t->dtype, at), new;
  if (t->fill == FILL_NORMAL) new = t->a + (old > t->a ? -4 : 4) * t->b;
  else if (t->fill == FILL_UNIFORM) new = old - t->a > t->b - old ? t->a : t->b;
  else new = old + 1 <= t->b ? old + 1 : t->a;
  store_number(data, t->dtype, at, new);
}

void generate_inputs(const struct region *inputs, const struct workload *w, uint64_t seed, const struct transform *change) {
  for (uint32_t i = 0; i < w->tensors; i++) {
    const struct tensor *t = &w->tensor[i];
    if (t->output) continue;
    void *data = region_data(inputs, w, i);
    uint64_t key = tensor_key(seed, i);
    if (t->fill == FILL_CONSTANT) {
      for (uint64_t k = 0; k < t->elements; k++) store_number(data, t->dtype, k, t->a);
    } else if (t->fill == FILL_SORTED || t->fill == FILL_OFFSETS)
      fill_ordered(data, t, key);
    else {
      fill_range(data, t, key, 0, t->elements);
      if (change != NULL && t->fill != FILL_INTEGERS) change_values(data, t, key, change);
      if (change != NULL && change->nudge && fill_is_free(t)) nudge_value(data, t, key);
    }
  }
}

static const struct transform transforms[] = {
    {.scale = 1, .name = "plain"},
    {.scale = 1, .nudge = true, .name = "one element changed in place"},
    {.scale = 3, .name = "times 3"},
    {.scale = 0.01, .name = "times 0.01"},
    {.scale = -1, .name = "times -1"},
    {.scale = 1, .offset = 2, .name = "plus 2"},
    {.scale = 1, .outlier = true, .name = "one huge value"},
    {.scale = 1, .constant = true, .name = "all values equal"},
};
#define TRANSFORMS (sizeof transforms / sizeof *transforms)

const char *generate_trial(const struct region *inputs, const struct workload *w, uint64_t seed, uint32_t trial) {
  const struct transform *change = &transforms[trial % TRANSFORMS];
  /* The nudged contents are those of the trial before, but for one element of each tensor. */
  generate_inputs(inputs, w, derive(seed, w->index, change->nudge ? trial - 1 : trial), change);
  return change->name;
}
