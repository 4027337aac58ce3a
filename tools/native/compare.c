/* Is an answer right? Floats: |got - want| <= rtol |want| + atol rms(want), NaN and infinity in the same places.
 * Everything else: equal. */
#include "judge.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double element(const void *data, enum dtype d, uint64_t k) {
  switch (d) {
    case F32: return ((const float *)data)[k];
    case F64: return ((const double *)data)[k];
    case I32: return ((const int32_t *)data)[k];
    case I64: return (double)((const int64_t *)data)[k];
    case I8: return ((const int8_t *)data)[k];
    default: return ((const uint8_t *)data)[k];
  }
}

/* Whether an element still holds one of the patterns the judge wrote before the call. */
static bool untouched(const void *data, enum dtype d, uint64_t k) {
  unsigned char own[8], pattern[8];
  size_t n = dtype_bytes(d);
  memcpy(own, (const unsigned char *)data + k * n, n);
  for (unsigned p = 0; p < 2; p++) {
    unsigned char words[16];
    poison(words, sizeof words, p);
    memcpy(pattern, words + k * n % 4, n);
    if (n >= 4 && memcmp(own, pattern, n) == 0) return true;
  }
  return false;
}

static void wrong(struct difference *d, const char *code, uint32_t tensor, uint64_t index, double got, double expected) {
  d->wrong++;
  if (!d->ok) return;
  d->ok = false;
  d->code = code;
  d->tensor = tensor;
  d->index = index;
  d->got = got;
  d->expected = expected;
}

static void one_float(struct difference *d, const struct tensor *t, uint32_t i, uint64_t k, const void *raw, double want, double scale, double allowed) {
  double got = element(raw, t->dtype, k), limit = t->dtype == F32 ? FLT_MAX : DBL_MAX;
  if (isnan(want) || isnan(got)) {
    if (isnan(want) && isnan(got)) return;
    wrong(d, untouched(raw, t->dtype, k) ? "output_not_written" : "nan_mismatch", i, k, got, want);
    return;
  }
  if (isinf(got) || fabs(want) > limit) {
    if (isinf(got) && fabs(want) > limit && signbit(got) == signbit(want)) return;
    /* One rounding step below overflow, either answer is right. */
    if (fabs(want) > limit * 0.9999 && fabs(got) > limit * 0.9999 && signbit(got) == signbit(want)) return;
    wrong(d, "infinity_mismatch", i, k, got, want);
    return;
  }
  double error = fabs(got - want), bound = t->rtol * fabs(want) + scale;
  double share = error == 0 ? 0 : bound == 0 ? INFINITY : error / bound;
  if (share > d->worst) d->worst = share;
  if (share > allowed) wrong(d, untouched(raw, t->dtype, k) ? "output_not_written" : "value_mismatch", i, k, got, want);
}

struct difference compare(const struct workload *w, const struct answers *want, void *const *got, double allowed) {
  struct difference d = {.ok = true};
  for (uint32_t i = 0; i < w->tensors; i++) {
    const struct tensor *t = &w->tensor[i];
    if (!t->output) continue;
    if (!dtype_is_float(t->dtype)) {
      if (memcmp(want->wide[i], got[i], t->bytes) == 0) continue;
      size_t n = dtype_bytes(t->dtype);
      for (uint64_t k = 0; k < t->elements; k++)
        if (memcmp((char *)want->wide[i] + k * n, (char *)got[i] + k * n, n) != 0)
          wrong(&d, untouched(got[i], t->dtype, k) ? "output_not_written" : "value_mismatch", i, k, element(got[i], t->dtype, k), element(want->wide[i], t->dtype, k));
      continue;
    }
    double sum = 0;
    uint64_t finite = 0;
    for (uint64_t k = 0; k < t->elements; k++) {
      double v = (double)answer_at(w, want, i, k);
      if (isfinite(v)) {
        sum += v * v;
        finite++;
      }
    }
    double scale = finite == 0 ? 0 : t->atol * sqrt(sum / (double)finite);
    for (uint64_t k = 0; k < t->elements; k++) one_float(&d, t, i, k, got[i], (double)answer_at(w, want, i, k), scale, allowed);
  }
  return d;
}

struct difference compare_outputs(const struct workload *w, void *const *want, void *const *got, double allowed) {
  struct difference d = {.ok = true};
  for (uint32_t i = 0; i < w->tensors; i++) {
    const struct tensor *t = &w->tensor[i];
    if (!t->output || memcmp(want[i], got[i], t->bytes) == 0) continue;
    if (!dtype_is_float(t->dtype)) {
      wrong(&d, "value_mismatch", i, 0, 0, 0);
      continue;
    }
    double sum = 0;
    for (uint64_t k = 0; k < t->elements; k++) {
      double v = element(want[i], t->dtype, k);
      if (isfinite(v)) sum += v * v;
    }
    double scale = t->elements == 0 ? 0 : t->atol * sqrt(sum / (double)t->elements);
    for (uint64_t k = 0; k < t->elements; k++) one_float(&d, t, i, k, got[i], element(want[i], t->dtype, k), scale, allowed);
  }
  return d;
}
