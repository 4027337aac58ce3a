/* From paired log ratios to a ratio with its 95 % interval. Two launches of one program differ, so the unit that counts is the
 * generation (a launch of all hosts), not the call; the A/A control in the same rounds says how large a difference means nothing. */
#include "judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

double quantile(const double *sorted, size_t n, double q) {
  if (n == 0) return NAN;
  double at = q * (double)(n - 1);
  size_t low = (size_t)at;
  double rest = at - (double)low;
  return low + 1 < n ? sorted[low] * (1 - rest) + sorted[low + 1] * rest : sorted[n - 1];
}

double median(double *values, size_t n) {
  qsort(values, n, sizeof *values, ascending);
  return quantile(values, n, 0.5);
}

/* 97.5 % quantiles of Student's t. */
static double student(size_t degrees) {
  static const double table[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
                                 2.120,  2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
  return degrees == 0 ? INFINITY : degrees > 30 ? 2.04 : table[degrees - 1];
}

static double deviation(const double *values, size_t n, double *mean) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++) sum += values[i];
  *mean = n == 0 ? NAN : sum / (double)n;
  for (size_t i = 0; i < n; i++) squares += (values[i] - *mean) * (values[i] - *mean);
  return n < 2 ? INFINITY : sqrt(squares / (double)(n - 1));
}

double mean_half_width(const double *values, size_t n, double *mean) {
  double spread = deviation(values, n, mean);
  return n < 2 ? INFINITY : student(n - 1) * spread / sqrt((double)n);
}

struct interval estimate(const struct series *s, const struct series *control, uint32_t generations) {
  double mean, control_mean, root = sqrt((double)generations);
  double own = deviation(s->mid, generations, &mean), other = deviation(control->mid, generations, &control_mean);
  /* Few generations may agree by luck: then the control's spread speaks too, and never less than the calls' own. */
  double half = student(generations - 1) * own / root, pooled = student(2 * (generations - 1)) * sqrt((own * own + other * other) / 2) / root;
  if (own < other) half = pooled;
  double *copy = malloc((s->values + 1) * sizeof *copy);
  if (copy == NULL) die("out of memory");
  memcpy(copy, s->value, s->values * sizeof *copy);
  double centre = median(copy, s->values), reach = 0.98 / sqrt((double)s->values);
  double order = (quantile(copy, s->values, fmin(1, 0.5 + reach)) - quantile(copy, s->values, fmax(0, 0.5 - reach))) / 2;
  free(copy);
  /* What the control shows is no difference, so no smaller one is claimed; a thousandth is the clocks' and the handshake's. */
  double wide = fmax(fmax(half, order), fabs(control_mean)) + 0.001;
  return (struct interval){.ratio = exp(centre), .low = exp(fmin(mean - wide, centre)), .high = exp(fmax(mean + wide, centre))};
}
