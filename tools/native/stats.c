#include "judge.h"

#include <math.h>
#include <stdlib.h>

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

/* 97.5 % quantiles of Student's t, 1 to 30 degrees of freedom. */
static double student(size_t degrees) {
  static const double table[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
                                 2.120,  2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
  return degrees == 0 ? INFINITY : degrees > 30 ? 1.96 : table[degrees - 1];
}

double half_width(const double *values, size_t n, double *mean) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++) sum += values[i];
  *mean = n == 0 ? NAN : sum / (double)n;
  if (n < 2) return INFINITY;
  for (size_t i = 0; i < n; i++) squares += (values[i] - *mean) * (values[i] - *mean);
  return student(n - 1) * sqrt(squares / (double)(n - 1) / (double)n);
}
