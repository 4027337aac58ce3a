/* The reference answer, from the same inputs in a wider float type. The reference may come from whoever registered the
 * problem, so it too runs in a confined host of its own; its answer is copied out before anything else runs. */
#include "judge.h"

#include <stdlib.h>
#include <string.h>

static struct job *the_job;
static struct workload wide; /* the workload with every float tensor in the oracle's type */
static struct region wide_inputs;
static struct host host;
static bool running;

bool dtype_is_float(enum dtype d) { return d == F32 || d == F64 || d == F80; }
size_t dtype_bytes(enum dtype d) { return d == F80 ? sizeof(long double) : d == F64 || d == I64 ? 8 : d == F32 || d == I32 ? 4 : 1; }

/* double for float32, long double for float64; integers stay. */
static enum dtype widened(enum dtype d) { return d == F32 ? F64 : d == F64 ? F80 : d; }

void oracle_start(struct job *job, const struct workload *w) {
  oracle_stop();
  the_job = job;
  wide = *w;
  for (uint32_t i = 0; i < wide.tensors; i++) {
    wide.tensor[i].dtype = widened(w->tensor[i].dtype);
    wide.tensor[i].bytes = wide.tensor[i].elements * dtype_bytes(wide.tensor[i].dtype);
  }
  region_create(&wide_inputs, &wide, false);
  region_seal(&wide_inputs);
  host_start(&host, job, &wide, &wide_inputs, job->oracle, ROLE_BASELINE, "oracle");
  running = true;
}

void oracle_stop(void) {
  if (!running) return;
  host_free(&host);
  region_destroy(&wide_inputs);
  running = false;
}

void oracle_compute(const struct workload *w, const struct region *inputs, struct answers *out) {
  for (uint32_t i = 0; i < w->tensors; i++) {
    const struct tensor *t = &w->tensor[i];
    if (t->output) {
      memset(region_data(&host.outputs, i), 0, wide.tensor[i].bytes);
      continue;
    }
    const void *from = region_data(inputs, i);
    void *to = region_data(&wide_inputs, i);
    if (t->dtype == F32)
      for (uint64_t k = 0; k < t->elements; k++) ((double *)to)[k] = ((const float *)from)[k];
    else if (t->dtype == F64)
      for (uint64_t k = 0; k < t->elements; k++) ((long double *)to)[k] = ((const double *)from)[k];
    else
      memcpy(to, from, t->bytes);
  }
  uint64_t judge_ns, host_ns;
  enum outcome outcome = host_call(&host, the_job, false, false, &judge_ns, &host_ns);
  if (outcome != CALL_OK) {
    host_stop(&host);
    out_host_failure(&host, outcome, w);
    die("the problem's reference did not answer on workload %s", w->uuid);
  }
  for (uint32_t i = 0; i < w->tensors; i++) {
    if (!w->tensor[i].output) continue;
    if (out->wide[i] == NULL && (out->wide[i] = malloc(wide.tensor[i].bytes + 1)) == NULL) die("out of memory for the reference answer");
    memcpy(out->wide[i], region_data(&host.outputs, i), wide.tensor[i].bytes);
  }
}

void answers_free(struct answers *a, const struct workload *w) {
  for (uint32_t i = 0; i < w->tensors; i++) free(a->wide[i]);
  memset(a, 0, sizeof *a);
}

long double answer_at(const struct workload *w, const struct answers *a, uint32_t i, uint64_t k) {
  const void *data = a->wide[i];
  switch (w->tensor[i].dtype) {
    case F32: return ((const double *)data)[k];
    case F64: return ((const long double *)data)[k];
    case I32: return ((const int32_t *)data)[k];
    case I64: return ((const int64_t *)data)[k];
    case I8: return ((const int8_t *)data)[k];
    default: return ((const uint8_t *)data)[k];
  }
}
