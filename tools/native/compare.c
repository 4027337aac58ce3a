/* Is an answer right? Floats: |got - want| <= rtol |want| + atol rms(want), NaN and infinity in the same places.
 * Everything else: equal. */
#include "judge.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double number_at(const void *data, enum dtype d, uint64_t k) {
  switch (d) {
    case F32: return ((const float *)data)[k];
    case F64: return ((const double *)data)[k];
    case F80: return (double)((const long double *)data)[k];
    case I32: return ((const int32_t *)data)[k];
    case I64: return (double)((const int64_t *)data)[k];
    case I8: return ((const int8_t *)data)[k];
    default: return ((const uint8_t *)data)[k];
  }
}

void store_number(void *data, enum dtype d, uint64_t k, double v) {
  switch (d) {
    case F32: ((float *)data)[k] = (float)v; break;
    case F64: ((double *)data)[k] = v; break;
    case F80: ((long double *)data)[k] = v; break;
    case I32: ((int32_t *)data)[k] = (int32_t)v; break;
    case I64: ((int64_t *)data)[k] = (int64_t)v; break;
    case I8: ((int8_t *)data)[k] = (int8_t)v; break;
    case BOOL: ((uint8_t *)data)[k] = v != 0; break;
    case U8: ((uint8_t *)data)[k] = (uint8_t)v; break;
  }
}

/* Whether an element still holds one of the patterns the judge wrote before the call. */
static bool untouched(const void *data, enum dtype d, uint64_t k) {
  size_t n = dtype_bytes(d);
  unsigned char words[16];
  for (unsigned which = 0; n >= 4 && which < 2; which++) {
    poison(words, sizeof words, which);
    if (memcmp((const unsigned char *)data + k * n, words, n) == 0) return true;
  }
  return false;
}

/* NaN and infinities have no number in JSON. */
static void in_words(char text[24], double v) { snprintf(text, 24, "%s", isnan(v) ? "nan" : isinf(v) ? (v < 0 ? "-inf" : "inf") : ""); }

static void wrong(struct difference *d, const char *code, uint32_t tensor, uint64_t index, double got, double expected) {
  d->wrong++;
  if (!d->ok) return;
  d->ok = false;
  d->code = code;
  d->tensor = tensor;
  d->index = index;
  d->got = got;
  d->expected = expected;
  in_words(d->got_text, got);
  in_words(d->expected_text, expected);
}

/* What a value of the narrow type is to a wider answer: NaN, an infinity with its sign, or finite. */
static int kind(double v, double limit) { return isnan(v) ? 2 : fabs(v) > limit ? (v < 0 ? -1 : 1) : 0; }

static double root_mean_square(const void *data, enum dtype d, uint64_t n) {
  double sum[4] = {0};
  uint64_t finite = 0;
  for (uint64_t k = 0; k < n; k++) {
    double v = number_at(data, d, k), square = v * v;
    if (!(square <= DBL_MAX)) continue;
    sum[k & 3] += square;
    finite++;
  }
  return finite == 0 ? 0 : sqrt((sum[0] + sum[1] + sum[2] + sum[3]) / (double)finite);
}

struct question {
  const struct tensor *t;
  uint32_t index;
  const void *want, *base, *got;
  enum dtype want_type;
  double slack, allowed, limit;
};

static void one_float(struct difference *d, const struct question *q, uint64_t k) {
  const struct tensor *t = q->t;
  double got = number_at(q->got, t->dtype, k), want = number_at(q->want, q->want_type, k);
  int is = kind(got, DBL_MAX), should = kind(want, q->limit);
  if (is == 0 && should == 0) {
    double error = q->want_type == F80 ? (double)fabsl((long double)got - ((const long double *)q->want)[k]) : fabs(got - want);
    double bound = t->rtol * fabs(want) + q->slack, share = error == 0 ? 0 : bound == 0 ? INFINITY : error / bound;
    if (share > d->worst) d->worst = share;
    if (share > q->allowed) wrong(d, untouched(q->got, t->dtype, k) ? "output_not_written" : "value_mismatch", q->index, k, got, want);
    return;
  }
  if (is == should) return;
  /* One rounding step below overflow, either answer is right; and where the plain loop itself overflows or is NaN, so may a kernel. */
  if (abs(is) != 2 && abs(should) != 2 && fabs(want) > q->limit * 0.9999 && fabs(got) > q->limit * 0.9999 && signbit(got) == signbit(want)) return;
  if (q->base != NULL && is != 0 && kind(number_at(q->base, t->dtype, k), DBL_MAX) == is) return;
  const char *code = untouched(q->got, t->dtype, k) ? "output_not_written" : is == 2 || should == 2 ? "nan_mismatch" : "infinity_mismatch";
  wrong(d, code, q->index, k, got, want);
}

static void exact(struct difference *d, const struct question *q) {
  const struct tensor *t = q->t;
  const size_t n = dtype_bytes(t->dtype);
  const unsigned char *want = q->want, *base = q->base, *got = q->got;
  if (memcmp(want, got, t->bytes) == 0) return;
  for (uint64_t at = 0; at < t->bytes; at += n) {
    /* Where the plain loop in the problem's own type rounds to another integer than the oracle, either is right. */
    if (memcmp(want + at, got + at, n) == 0 || (base != NULL && memcmp(base + at, got + at, n) == 0)) continue;
    uint64_t k = at / n;
    const bool first = d->ok;
    wrong(d, untouched(got, t->dtype, k) ? "output_not_written" : "value_mismatch", q->index, k, number_at(got, t->dtype, k), number_at(want, t->dtype, k));
    if (!first || t->dtype != I64) continue;
    snprintf(d->got_text, sizeof d->got_text, "%lld", (long long)((const int64_t *)q->got)[k]);
    snprintf(d->expected_text, sizeof d->expected_text, "%lld", (long long)((const int64_t *)q->want)[k]);
  }
}

struct difference compare(const struct workload *w, const struct answers *answers, void *const *base, void *const *got, double allowed) {
  struct difference d = {.ok = true};
  for (uint32_t i = 0; i < w->tensors; i++) {
    const struct tensor *t = &w->tensor[i];
    if (!t->output) continue;
    struct question q = {.t = t, .index = i, .want = answers->wide[i], .base = base == NULL ? NULL : base[i], .got = got[i], .allowed = allowed};
    if (!dtype_is_float(t->dtype)) {
      exact(&d, &q);
      continue;
    }
    q.want_type = t->dtype == F32 ? F64 : F80;
    q.limit = t->dtype == F32 ? FLT_MAX : DBL_MAX;
    q.slack = t->atol * root_mean_square(q.want, q.want_type, t->elements);
    for (uint64_t k = 0; k < t->elements; k++) one_float(&d, &q, k);
  }
  return d;
}

/* Whether every element is finite and within its bound: the answer for nearly every timed call, at the speed of memory. */
#define ALL_NEAR(TYPE)                                                                          \
  static bool near_##TYPE(const TYPE *want, const TYPE *got, uint64_t n, TYPE rtol, TYPE slack) { \
    uint64_t far = 0;                                                                           \
    for (uint64_t k = 0; k < n; k++) {                                                          \
      TYPE gap = got[k] - want[k], size = want[k];                                              \
      gap = gap < 0 ? -gap : gap;                                                               \
      size = size < 0 ? -size : size;                                                           \
      far += !(gap <= rtol * size + slack);                                                     \
    }                                                                                           \
    return far == 0;                                                                            \
  }
ALL_NEAR(float)
ALL_NEAR(double)

struct difference compare_outputs(const struct workload *w, void *const *want, void *const *got, double allowed) {
  struct difference d = {.ok = true};
  for (uint32_t i = 0; i < w->tensors; i++) {
    const struct tensor *t = &w->tensor[i];
    if (!t->output || memcmp(want[i], got[i], t->bytes) == 0) continue;
    struct question q = {.t = t, .index = i, .want = want[i], .got = got[i], .want_type = t->dtype, .allowed = allowed, .limit = DBL_MAX};
    if (!dtype_is_float(t->dtype)) {
      exact(&d, &q);
      continue;
    }
    q.slack = t->atol * root_mean_square(want[i], t->dtype, t->elements);
    double rtol = t->rtol * allowed, slack = q.slack * allowed;
    if (t->dtype == F32 ? near_float(want[i], got[i], t->elements, (float)rtol, (float)slack) : near_double(want[i], got[i], t->elements, rtol, slack)) continue;
    for (uint64_t k = 0; k < t->elements; k++) one_float(&d, &q, k);
  }
  return d;
}

void copies_make(struct copies *c, const struct workload *w) {
  memset(c, 0, sizeof *c);
  for (uint32_t i = 0; i < w->tensors; i++)
    if (w->tensor[i].output && (c->data[i] = malloc(w->tensor[i].bytes + 1)) == NULL) die("out of memory");
}

void copies_free(struct copies *c) {
  for (uint32_t i = 0; i < KE_MAX_TENSORS; i++) free(c->data[i]);
  memset(c, 0, sizeof *c);
}
