/* Is the candidate right on one workload? Several trials of fresh contents, among them hidden transforms of the values;
 * every answer is compared with the oracle, and judged beside the baseline's own error on the same contents. */
#include "judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct transform transforms[] = {
    {.scale = 1, .name = "plain"},          {.scale = 3, .name = "times 3"},
    {.scale = 0.01, .name = "times 0.01"},  {.scale = -1, .name = "times -1"},
    {.scale = 1, .offset = 2, .name = "plus 2"}, {.scale = 1, .outlier = true, .name = "one huge value"},
    {.scale = 1, .constant = true, .name = "all values equal"}, {.scale = 1, .name = "plain again"},
};
#define TRANSFORMS (sizeof transforms / sizeof *transforms)

struct copies {
  void *data[KE_MAX_TENSORS];
};
static void copies_make(struct copies *c, const struct workload *w) {
  memset(c, 0, sizeof *c);
  for (uint32_t i = 0; i < w->tensors; i++)
    if (w->tensor[i].output && (c->data[i] = malloc(w->tensor[i].bytes + 1)) == NULL) die("out of memory");
}
static void copies_take(struct copies *c, const struct host *h, const struct workload *w) {
  for (uint32_t i = 0; i < w->tensors; i++)
    if (w->tensor[i].output) memcpy(c->data[i], region_data(&h->outputs, i), w->tensor[i].bytes);
}
static bool copies_equal(const struct copies *a, const struct copies *b, const struct workload *w) {
  for (uint32_t i = 0; i < w->tensors; i++)
    if (w->tensor[i].output && memcmp(a->data[i], b->data[i], w->tensor[i].bytes) != 0) return false;
  return true;
}
static void copies_free(struct copies *c, const struct workload *w) {
  for (uint32_t i = 0; i < w->tensors; i++) free(c->data[i]);
}

static void poison_outputs(struct host *h, const struct workload *w, unsigned pattern) {
  for (uint32_t i = 0; i < w->tensors; i++)
    if (w->tensor[i].output) poison(region_data(&h->outputs, i), w->tensor[i].bytes, pattern);
}

struct state {
  bool failed, deterministic;
  double worst, baseline_worst;
  uint32_t trials, failures;
};

static void report_failure(const struct workload *w, const struct difference *d, const char *trial, struct state *s) {
  s->failed = true;
  s->failures++;
  out_begin("wrong");
  out_str("workload", w->uuid);
  out_str("code", d->code);
  out_str("trial", trial);
  out_str("output", w->tensor[d->tensor].name);
  out_int("index", (int64_t)d->index);
  out_num("got", d->got);
  out_num("expected", d->expected);
  out_str("got_text", isnan(d->got) ? "nan" : isinf(d->got) ? "inf" : "");
  out_str("expected_text", isnan(d->expected) ? "nan" : isinf(d->expected) ? "inf" : "");
  out_int("wrong_elements", (int64_t)d->wrong);
  out_int("elements", (int64_t)w->tensor[d->tensor].elements);
  out_num("error_over_tolerance", d->worst);
  out_end();
}

/* One call of the candidate on the present contents. False when the host did not answer. */
static bool answer(struct host *h, struct job *job, const struct workload *w, unsigned pattern, uint64_t key, struct copies *out, struct state *s) {
  uint64_t judge_ns, host_ns;
  poison_outputs(h, w, pattern);
  enum outcome outcome = host_call(h, job, false, false, &judge_ns, &host_ns);
  if (outcome != CALL_OK) {
    host_stop(h);
    out_host_failure(h, outcome, w);
    s->failed = true;
    return false;
  }
  copies_take(out, h, w);
  int broken = region_canary_broken(&h->outputs, w, true, key);
  if (broken >= 0) {
    struct difference d = {.code = "wrote_outside_output", .tensor = (uint32_t)broken};
    report_failure(w, &d, "canary", s);
    return false;
  }
  return true;
}

void verify_workload(struct job *job, const struct workload *w) {
  struct region inputs;
  struct host candidate, baseline;
  struct answers want = {0};
  struct copies first, second, base;
  struct state s = {.deterministic = true};
  uint64_t canary = secret();
  region_create(&inputs, w, false);
  region_seal(&inputs);
  copies_make(&first, w);
  copies_make(&second, w);
  copies_make(&base, w);
  host_start(&candidate, job, w, &inputs, job->candidate, ROLE_CANDIDATE, "candidate");
  host_start(&baseline, job, w, &inputs, job->baseline[0], ROLE_BASELINE, job->baseline_name[0]);
  region_canary(&candidate.outputs, w, true, canary);
  bool free_values = false;
  for (uint32_t i = 0; i < w->tensors; i++)
    if (!w->tensor[i].output && (w->tensor[i].fill == FILL_NORMAL || w->tensor[i].fill == FILL_UNIFORM)) free_values = true;
  for (uint32_t trial = 0; trial < job->trials && s.failures < 3; trial++) {
    const struct transform *change = &transforms[free_values ? trial % TRANSFORMS : 0];
    uint64_t key = mix64(job->seed ^ mix64(trial + 1)), judge_ns, host_ns;
    generate_inputs(&inputs, w, key, change);
    oracle_compute(w, &inputs, &want);
    enum outcome outcome = host_call(&baseline, job, false, false, &judge_ns, &host_ns);
    if (outcome != CALL_OK) {
      host_stop(&baseline);
      out_host_failure(&baseline, outcome, w);
      break;
    }
    copies_take(&base, &baseline, w);
    struct difference own = compare(w, &want, base.data, INFINITY);
    /* Where the plain loop itself overflows, the contents decide nothing about the candidate. */
    bool decisive = own.ok;
    double allowed = own.worst * 4 > 1 ? own.worst * 4 : 1;
    if (!answer(&candidate, job, w, trial, canary, &first, &s)) break;
    s.trials++;
    if (decisive) {
      struct difference d = compare(w, &want, first.data, allowed);
      if (own.worst > s.baseline_worst) s.baseline_worst = own.worst;
      if (d.worst / allowed > s.worst) s.worst = d.worst / allowed;
      if (!d.ok) report_failure(w, &d, change->name, &s);
    }
    /* The same contents again, over the other poison: an answer left over from the first call would show. */
    if (trial % 4 == 0) {
      if (!answer(&candidate, job, w, trial + 1, canary, &second, &s)) break;
      if (!copies_equal(&first, &second, w)) {
        s.deterministic = false;
        struct difference d = compare(w, &want, second.data, allowed);
        if (decisive && !d.ok) report_failure(w, &d, "the same contents again", &s);
      }
    }
  }
  out_begin("verified");
  out_str("workload", w->uuid);
  out_int("trials", s.trials);
  out_bool("passed", !s.failed && s.trials == job->trials);
  out_num("worst_error", s.worst);
  out_num("baseline_error", s.baseline_worst);
  out_bool("deterministic", s.deterministic);
  out_int("confinement", candidate.control == NULL ? 0 : candidate.control->confinement);
  out_bytes("text", candidate.text, candidate.text_len);
  out_int("text_bytes", (int64_t)candidate.text_total);
  out_end();
  host_free(&candidate);
  host_free(&baseline);
  answers_free(&want, w);
  copies_free(&first, w);
  copies_free(&second, w);
  copies_free(&base, w);
  region_destroy(&inputs);
}

/* What a candidate that computes nothing would score: the judge makes the null answers itself. */
void grade_workload(struct job *job, const struct workload *w) {
  static const char *const names[] = {"zeros", "ones", "mean", "input_copy", "uninitialised", "random"};
  bool passed[6] = {true, true, true, true, true, true};
  struct region inputs;
  struct answers want = {0};
  struct copies null;
  uint64_t elements = 0;
  region_create(&inputs, w, false);
  copies_make(&null, w);
  for (uint32_t i = 0; i < w->tensors; i++)
    if (w->tensor[i].output) elements += w->tensor[i].elements;
  for (uint32_t trial = 0; trial < job->trials; trial++) {
    generate_inputs(&inputs, w, mix64(job->seed ^ mix64(trial + 1)), &transforms[trial % TRANSFORMS]);
    oracle_compute(w, &inputs, &want);
    for (unsigned kind = 0; kind < 6; kind++) {
      if (!passed[kind]) continue;
      for (uint32_t i = 0; i < w->tensors; i++) {
        const struct tensor *t = &w->tensor[i];
        if (!t->output) continue;
        long double mean = 0;
        for (uint64_t k = 0; kind == 2 && k < t->elements; k++) mean += answer_at(w, &want, i, k) / (long double)t->elements;
        poison(null.data[i], t->bytes, trial);
        if (kind == 4) continue;
        const unsigned char *source = NULL;
        uint64_t source_bytes = 0;
        for (uint32_t j = 0; kind == 3 && j < w->tensors; j++)
          if (!w->tensor[j].output && !w->tensor[j].scalar && w->tensor[j].dtype == t->dtype && w->tensor[j].bytes > source_bytes) {
            source = region_data(&inputs, j);
            source_bytes = w->tensor[j].bytes;
          }
        if (kind == 3) {
          for (uint64_t b = 0; source != NULL && b < t->bytes; b++) ((unsigned char *)null.data[i])[b] = source[b % source_bytes];
          continue;
        }
        for (uint64_t k = 0; k < t->elements; k++) {
          double v = kind == 0 ? 0 : kind == 1 ? 1 : kind == 2 ? (double)mean : (double)(mix64(job->seed + k) >> 40) * 0x1p-23 - 1;
          if (t->dtype == F32) ((float *)null.data[i])[k] = (float)v;
          else if (t->dtype == F64) ((double *)null.data[i])[k] = v;
          else if (t->dtype == I32) ((int32_t *)null.data[i])[k] = (int32_t)llround(v);
          else if (t->dtype == I64) ((int64_t *)null.data[i])[k] = (int64_t)llround(v);
          else ((int8_t *)null.data[i])[k] = (int8_t)lround(v);
        }
      }
      passed[kind] = compare(w, &want, null.data, 1).ok;
    }
  }
  out_begin("graded");
  out_str("workload", w->uuid);
  out_bool("empty", elements == 0);
  out_object("nulls");
  for (unsigned kind = 0; kind < 6; kind++) out_bool(names[kind], passed[kind]);
  out_close();
  out_end();
  answers_free(&want, w);
  copies_free(&null, w);
  region_destroy(&inputs);
}
