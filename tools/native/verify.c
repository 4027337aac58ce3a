/* Is the candidate right on a workload? Several trials of fresh contents, among them hidden transforms of the values; every
 * answer is compared with the oracle, and judged beside the baseline's own error on the same contents. */
#include "judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct verification {
  struct job *job;
  const struct group *g;
  struct region inputs;
  struct host candidate, baseline;
  uint32_t deaths;
  bool hopeless; /* the candidate hangs or keeps dying: the workloads left are not tried */
};

struct state {
  const struct workload *w;
  bool failed, deterministic;
  double worst, baseline_worst;
  uint32_t trials, failures;
  struct answers want;
  struct copies first, second, base;
};

static void report(struct state *s, const struct difference *d, const char *code, const char *trial) {
  s->failed = true;
  s->failures++;
  out_wrong(s->w, d, code, trial);
}

static void start(struct verification *v, struct host *h, enum role role) {
  if (h->pid > 0) return;
  bool own = role == ROLE_CANDIDATE;
  host_start(h, v->job, v->g, &v->inputs, own ? v->job->candidate : v->job->baseline[0], role, own ? "candidate" : v->job->baseline_name[0], -1);
}

/* One call of the candidate on the present contents. False when there is no answer. */
static bool answer(struct verification *v, struct state *s, unsigned pattern, struct copies *out) {
  struct host *h = &v->candidate;
  struct call call = {.w = s->w, .probe = secret() | 1};
  region_poison(&h->outputs, s->w, pattern);
  enum outcome outcome = host_call(h, v->job, &call);
  if (outcome != CALL_OK) {
    host_stop(h);
    out_host_failure(h, outcome, s->w);
    s->failed = true;
    v->deaths++;
    v->hopeless = outcome == CALL_TIMEOUT || v->deaths > 1;
    return false;
  }
  host_take(h, s->w, out);
  int late = probe_changed(&call, out), broken = region_canary_broken(&h->outputs, s->w);
  if (broken >= 0) report(s, &(struct difference){.tensor = (uint32_t)broken}, "wrote_outside_output", "canary");
  if (late >= 0) report(s, &(struct difference){.tensor = (uint32_t)late}, "deferred_work", "after its return");
  return broken < 0 && late < 0;
}

/* False when the candidate is in no state for another trial. */
static bool trial(struct verification *v, struct state *s, uint32_t number) {
  const char *name = generate_trial(&v->inputs, s->w, v->job->seed, number);
  oracle_compute(s->w, &v->inputs, &s->want);
  struct call call = {.w = s->w};
  enum outcome outcome = host_call(&v->baseline, v->job, &call);
  if (outcome != CALL_OK) {
    host_stop(&v->baseline);
    out_host_failure(&v->baseline, outcome, s->w);
    s->failed = true;
    return false;
  }
  host_take(&v->baseline, s->w, &s->base);
  /* The plain loop in the problem's own type errs too: up to four times its error is no fault. */
  double own = compare(s->w, &s->want, NULL, s->base.data, INFINITY).worst, allowed = fmax(1, 4 * own);
  if (!answer(v, s, number, &s->first)) return false;
  s->trials++;
  struct difference d = compare(s->w, &s->want, s->base.data, s->first.data, allowed);
  s->baseline_worst = fmax(s->baseline_worst, own);
  s->worst = fmax(s->worst, d.worst / allowed);
  if (!d.ok) report(s, &d, d.code, name);
  if (number % 4 != 0) return true;
  /* The same contents again, over the other poison: an answer left over from the first call would show. */
  if (!answer(v, s, number + 1, &s->second)) return false;
  for (uint32_t i = 0; i < s->w->tensors && s->deterministic; i++)
    s->deterministic = !s->w->tensor[i].output || memcmp(s->first.data[i], s->second.data[i], s->w->tensor[i].bytes) == 0;
  struct difference again = compare(s->w, &s->want, s->base.data, s->second.data, allowed);
  if (!again.ok && d.ok) report(s, &again, again.code, "the same contents again");
  return true;
}

static void verify_workload(struct verification *v, const struct workload *w) {
  struct state s = {.w = w, .deterministic = true};
  struct host *h = &v->candidate;
  copies_make(&s.first, w);
  copies_make(&s.second, w);
  copies_make(&s.base, w);
  start(v, h, ROLE_CANDIDATE);
  start(v, &v->baseline, ROLE_BASELINE);
  for (uint32_t t = 0; t < v->job->trials && s.failures < 3 && trial(v, &s, t); t++) {
  }
  out_begin("verified");
  out_str("workload", w->uuid);
  out_int("trials", s.trials);
  out_bool("passed", !s.failed && s.trials == v->job->trials);
  out_num("worst_error", s.worst);
  out_num("baseline_error", s.baseline_worst);
  out_bool("deterministic", s.deterministic);
  out_int("confinement", h->control->confinement);
  out_bytes("text", h->text, h->text_len);
  out_int("text_bytes", (int64_t)h->text_total);
  out_end();
  /* Printed text belongs to the workload it was printed in. */
  h->text_len = h->text_total = 0;
  if (h->dead || s.failed) host_free(h);
  if (v->baseline.dead) host_free(&v->baseline);
  answers_free(&s.want);
  copies_free(&s.first);
  copies_free(&s.second);
  copies_free(&s.base);
}

void verify_group(struct job *job, const struct group *g) {
  struct verification v = {.job = job, .g = g};
  if (job->trials == 0 || job->baselines == 0) die("verification needs trials and a baseline");
  region_create(&v.inputs, g, false);
  region_seal(&v.inputs);
  for (uint32_t k = 0; k < g->workloads && !v.hopeless; k++) verify_workload(&v, &g->w[k]);
  host_free(&v.candidate);
  host_free(&v.baseline);
  region_destroy(&v.inputs);
}
