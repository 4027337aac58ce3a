/* Reads the job: one word-separated line a fact, strings percent-encoded, written by the server. */
#include "judge.h"

#include <stdlib.h>
#include <string.h>

static char *decode(const char *word) {
  char *out = malloc(strlen(word) + 1), *p = out;
  if (out == NULL) die("out of memory");
  for (; *word != '\0'; word++) {
    unsigned value;
    if (*word == '%' && sscanf(word + 1, "%2x", &value) == 1) {
      *p++ = (char)value;
      word += 2;
    } else
      *p++ = *word;
  }
  *p = '\0';
  return out;
}

static char *cursor;
static unsigned line_number;
static const char *word(void) {
  char *w = strtok_r(NULL, " \n", &cursor);
  if (w == NULL) die("job line %u ends too early", line_number);
  return w;
}
static double number(void) {
  const char *w = word();
  char *end;
  double v = strtod(w, &end);
  if (*end != '\0') die("job line %u: %s is no number", line_number, w);
  return v;
}
static int64_t integer(void) {
  const char *w = word();
  char *end;
  long long v = strtoll(w, &end, 0);
  if (*end != '\0') die("job line %u: %s is no integer", line_number, w);
  return v;
}

static enum dtype dtype_of(const char *name) {
  static const char *const names[] = {"float32", "float64", "int32", "int64", "uint8", "bool", "int8"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(name, names[i]) == 0) return (enum dtype)i;
  die("job line %u: dtype %s is not supported", line_number, name);
}
static enum fill fill_of(const char *name) {
  static const char *const names[] = {"normal", "uniform", "integers", "sorted", "offsets", "constant"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(name, names[i]) == 0) return (enum fill)i;
  die("job line %u: fill %s is unknown", line_number, name);
}

/* in|out NAME DTYPE NDIM DIM... then FILL A B or RTOL ATOL; NDIM -1 is a scalar by value */
static void read_tensor(struct workload *w, bool output) {
  if (w->tensors == KE_MAX_TENSORS) die("more than %d tensors", KE_MAX_TENSORS);
  struct tensor *t = &w->tensor[w->tensors++];
  t->output = output;
  snprintf(t->name, sizeof t->name, "%s", word());
  t->dtype = dtype_of(word());
  int64_t dims = integer();
  t->scalar = dims < 0;
  t->elements = 1;
  t->row = 1;
  for (int64_t i = 0; i < dims; i++) {
    t->row = (uint64_t)integer();
    t->elements *= t->row;
  }
  t->bytes = t->elements * dtype_bytes(t->dtype);
  if (t->bytes > (uint64_t)1 << 32) die("tensor %s is too large", t->name);
  if (output) {
    t->rtol = number();
    t->atol = number();
  } else {
    t->fill = fill_of(word());
    t->a = number();
    t->b = number();
  }
}

struct job *job_read(FILE *in) {
  struct job *job = calloc(1, sizeof *job);
  char *line = NULL;
  size_t capacity = 0;
  bool ended = false;
  if (job == NULL) die("out of memory");
  while (!ended && getline(&line, &capacity, in) > 0) {
    line_number++;
    cursor = NULL;
    const char *k = strtok_r(line, " \n", &cursor);
    struct workload *w = job->workloads == 0 ? NULL : &job->workload[job->workloads - 1];
    if (k == NULL) continue;
    if (strcmp(k, "ke-job") == 0) {
      if (integer() != 1) die("this judge reads jobs of version 1");
    } else if (strcmp(k, "mode") == 0) {
      const char *m = word();
      job->mode = strcmp(m, "verify") == 0      ? MODE_VERIFY
                  : strcmp(m, "benchmark") == 0 ? MODE_BENCHMARK
                  : strcmp(m, "grade") == 0     ? MODE_GRADE
                                                : MODE_ONCE;
    } else if (strcmp(k, "seed") == 0) job->seed = strtoull(word(), NULL, 16);
    else if (strcmp(k, "candidate") == 0) job->candidate = decode(word());
    else if (strcmp(k, "oracle") == 0) job->oracle = decode(word());
    else if (strcmp(k, "host") == 0) job->host = decode(word());
    else if (strcmp(k, "lock") == 0) job->lock = decode(word());
    else if (strcmp(k, "baseline") == 0) {
      if (job->baselines == MAX_BASELINES) die("more than %d baselines", MAX_BASELINES);
      job->baseline_name[job->baselines] = decode(word());
      job->baseline[job->baselines++] = decode(word());
    } else if (strcmp(k, "sandbox") == 0) {
      job->sandbox = realloc(job->sandbox, (job->sandbox_args + 2) * sizeof *job->sandbox);
      if (job->sandbox == NULL) die("out of memory");
      job->sandbox[job->sandbox_args++] = decode(word());
      job->sandbox[job->sandbox_args] = NULL;
    } else if (strcmp(k, "cgroup") == 0) {
      if (job->cgroups < 4) job->cgroup[job->cgroups++] = decode(word());
    } else if (strcmp(k, "uid") == 0) job->uid = (uint32_t)integer();
    else if (strcmp(k, "threads") == 0) job->threads = (uint32_t)integer();
    else if (strcmp(k, "limits") == 0) {
      job->limit_as = (uint64_t)integer();
      job->limit_cpu = (uint64_t)integer();
      job->limit_fsize = (uint64_t)integer();
    } else if (strcmp(k, "call-seconds") == 0) job->call_seconds = number();
    else if (strcmp(k, "budget") == 0) job->budget_seconds = number();
    else if (strcmp(k, "target-width") == 0) job->target_width = number();
    else if (strcmp(k, "generations") == 0) {
      job->min_generations = (uint32_t)integer();
      job->max_generations = (uint32_t)integer();
    } else if (strcmp(k, "trials") == 0) job->trials = (uint32_t)integer();
    else if (strcmp(k, "cache") == 0) job->cold = strcmp(word(), "cold") == 0;
    else if (strcmp(k, "workload") == 0) {
      job->workload = realloc(job->workload, (job->workloads + 1) * sizeof *job->workload);
      if (job->workload == NULL) die("out of memory");
      w = &job->workload[job->workloads++];
      memset(w, 0, sizeof *w);
      snprintf(w->uuid, sizeof w->uuid, "%s", word());
      w->timed = strcmp(word(), "timed") == 0;
    } else if (strcmp(k, "end") == 0) ended = true;
    else if (w == NULL) die("job line %u: %s before any workload", line_number, k);
    else if (strcmp(k, "axis") == 0) {
      if (w->axes == KE_MAX_AXES) die("more than %d axes", KE_MAX_AXES);
      w->axis[w->axes++] = integer();
    } else if (strcmp(k, "in") == 0) read_tensor(w, false);
    else if (strcmp(k, "out") == 0) read_tensor(w, true);
    else die("job line %u: %s is unknown", line_number, k);
  }
  free(line);
  if (!ended) die("the job is not complete");
  return job;
}

/* Hosts keep all tensors of a group mapped, so a group is bounded. */
#define GROUP_BYTES ((uint64_t)96 << 20)

struct group job_group(struct job *job, uint32_t start) {
  struct group g = {.w = &job->workload[start]};
  uint64_t bytes = 0;
  for (uint32_t i = start; i < job->workloads; i++) {
    struct workload *w = &job->workload[i];
    for (uint32_t k = 0; k < w->tensors; k++) bytes += w->tensor[k].bytes;
    if (i > start && bytes > GROUP_BYTES) break;
    w->index = g.workloads++;
    w->first = g.tensors;
    g.tensors += w->tensors;
    g.axes += w->axes;
  }
  return g;
}
