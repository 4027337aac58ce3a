/* The reference answer, from the same inputs in a wider float type. The reference may come from whoever registered the
 * problem, so it too runs in a confined host of its own; its answer is copied out before anything else runs. */
#include "judge.h"

#include <stdlib.h>
#include <string.h>

static struct job *the_job;
static struct group wide; /* the group with every float tensor in the oracle's type */
static struct region wide_inputs;
static struct host host;

bool dtype_is_float(enum dtype d) { return d == F32 || d == F64 || d == F80; }
size_t dtype_bytes(enum dtype d) { return d == F80 ? sizeof(long double) : d == F64 || d == I64 ? 8 : d == F32 || d == I32 ? 4 : 1; }

/* double for float32, long double for float64; integers stay. */
static enum dtype widened(enum dtype d) { return d == F32 ? F64 : d == F64 ? F80 : d; }

void oracle_start(struct job *job, const struct group *g) {
  oracle_stop();
  the_job = job;
  wide = *g;
  wide.w = malloc(g->workloads * sizeof *wide.w);
  if (wide.w == NULL) die("out of memory");
  memcpy(wide.w, g->w, g->workloads * sizeof *wide.w);
  for (uint32_t k = 0; k < g->workloads; k++)
    for (uint32_t i = 0; i < wide.w[k].tensors; i++) {
      struct tensor *t = &wide.w[k].tensor[i];
      t->dtype = widened(t->dtype);
      t->bytes = t->elements * dtype_bytes(t->dtype);
    }
  region_create(&wide_inputs, &wide, false);
  region_seal(&wide_inputs);
  host_start(&host, job, &wide, &wide_inputs, job->oracle, ROLE_ORACLE, "oracle", -1);
}

void oracle_stop(void) {
  host_free(&host);
  region_destroy(&wide_inputs);
  free(wide.w);
  memset(&wide, 0, sizeof wide);
}

void oracle_compute(const struct workload *w, const struct region *inputs, struct answers *out) {
  const struct workload *v = &wide.w[w->index];
  for (uint32_t i = 0; i < w->tensors; i++) {
    const struct tensor *t = &w->tensor[i];
    if (t->output) {
      memset(region_data(&host.outputs, v, i), 0, v->tensor[i].bytes);
      continue;
    }
    const void *from = region_data(inputs, w, i);
    void *to = region_data(&wide_inputs, v, i);
    if (t->dtype == F32)
      for (uint64_t k = 0; k < t->elements; k++) ((double *)to)[k] = ((const float *)from)[k];
    else if (t->dtype == F64)
      for (uint64_t k = 0; k < t->elements; k++) ((long double *)to)[k] = ((const double *)from)[k];
    else
      memcpy(to, from, t->bytes);
  }
  struct call call = {.w = v};
  enum outcome outcome = host_call(&host, the_job, &call);
  if (outcome != CALL_OK) {
    host_stop(&host);
    out_host_failure(&host, outcome, w);
    die("the problem's reference did not answer on workload %s", w->uuid);
  }
  for (uint32_t i = 0; i < w->tensors; i++) {
    if (!w->tensor[i].output) continue;
    if (out->wide[i] == NULL && (out->wide[i] = malloc(v->tensor[i].bytes + 1)) == NULL) die("out of memory for the reference answer");
    memcpy(out->wide[i], region_data(&host.outputs, v, i), v->tensor[i].bytes);
  }
}

void answers_free(struct answers *a) {
  for (uint32_t i = 0; i < KE_MAX_TENSORS; i++) free(a->wide[i]);
  memset(a, 0, sizeof *a);
}
