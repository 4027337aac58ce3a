/* What a candidate that computes nothing would score: the judge makes the null answers itself, and compares them as it would a
 * kernel's. A problem that one of them passes says nothing about kernels. */
#include "judge.h"

#include <math.h>
#include <string.h>

enum null { ZEROS, ONES, MEAN, INPUT_COPY, UNINITIALISED, RANDOM, NULLS };
static const char *const names[NULLS] = {"zeros", "ones", "mean", "input_copy", "uninitialised", "random"};

/* The largest input of the output's type, over and over. */
static void copy_input(unsigned char *out, const struct workload *w, const struct tensor *t, const struct region *inputs) {
  const struct tensor *from = NULL;
  uint32_t index = 0;
  for (uint32_t j = 0; j < w->tensors; j++) {
    const struct tensor *s = &w->tensor[j];
    if (s->output || s->scalar || s->dtype != t->dtype || s->bytes <= (from == NULL ? 0 : from->bytes)) continue;
    from = s;
    index = j;
  }
  if (from == NULL) return;
  const unsigned char *source = region_data(inputs, w, index);
  for (uint64_t at = 0; at < t->bytes; at += from->bytes) memcpy(out + at, source, t->bytes - at < from->bytes ? t->bytes - at : from->bytes);
}

static void null_answer(void *out, enum null kind, const struct workload *w, uint32_t i, const struct answers *want, const struct region *inputs, uint64_t key) {
  const struct tensor *t = &w->tensor[i];
  const enum dtype wide = t->dtype == F32 ? F64 : t->dtype == F64 ? F80 : t->dtype;
  double mean = 0;
  poison(out, t->bytes, (unsigned)key);
  if (kind == UNINITIALISED) return;
  if (kind == INPUT_COPY) {
    copy_input(out, w, t, inputs);
    return;
  }
  for (uint64_t k = 0; kind == MEAN && k < t->elements; k++) mean += number_at(want->wide[i], wide, k) / (double)t->elements;
  if (!dtype_is_float(t->dtype)) mean = round(mean);
  for (uint64_t k = 0; k < t->elements; k++) {
    double v = kind == ZEROS ? 0 : kind == ONES ? 1 : kind == MEAN ? mean : (double)(mix64(key + k) >> 40) * 0x1p-23 - 1;
    store_number(out, t->dtype, k, dtype_is_float(t->dtype) ? v : round(v));
  }
}

static void grade_workload(struct job *job, const struct region *inputs, const struct workload *w) {
  bool passed[NULLS] = {true, true, true, true, true, true};
  struct answers want = {0};
  struct copies null;
  uint64_t elements = 0;
  copies_make(&null, w);
  for (uint32_t i = 0; i < w->tensors; i++)
    if (w->tensor[i].output) elements += w->tensor[i].elements;
  for (uint32_t t = 0; t < job->trials && elements > 0; t++) {
    generate_trial(inputs, w, job->seed, t);
    oracle_compute(w, inputs, &want);
    for (enum null kind = 0; kind < NULLS; kind++) {
      if (!passed[kind]) continue;
      for (uint32_t i = 0; i < w->tensors; i++)
        if (w->tensor[i].output) null_answer(null.data[i], kind, w, i, &want, inputs, derive(job->seed, kind, t));
      passed[kind] = compare(w, &want, NULL, null.data, 1).ok;
    }
  }
  out_begin("graded");
  out_str("workload", w->uuid);
  out_bool("empty", elements == 0);
  out_object("nulls");
  for (enum null kind = 0; kind < NULLS; kind++) out_bool(names[kind], passed[kind]);
  out_close();
  out_end();
  answers_free(&want);
  copies_free(&null);
}

void grade_group(struct job *job, const struct group *g) {
  struct region inputs;
  region_create(&inputs, g, false);
  for (uint32_t k = 0; k < g->workloads; k++) grade_workload(job, &inputs, &g->w[k]);
  region_destroy(&inputs);
}
