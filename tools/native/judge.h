/* ke-judge: trusted. Makes inputs from secret seeds, holds the reference answers, times, compares, and prints facts. */
#ifndef KE_JUDGE_H
#define KE_JUDGE_H
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "protocol.h"

enum dtype { F32, F64, I32, I64, U8, BOOL, I8, F80 /* the oracle's own */ };
enum fill { FILL_NORMAL, FILL_UNIFORM, FILL_INTEGERS, FILL_SORTED, FILL_OFFSETS, FILL_CONSTANT };
enum role { ROLE_CANDIDATE, ROLE_BASELINE, ROLE_CONTROL };
enum mode { MODE_VERIFY, MODE_BENCHMARK, MODE_GRADE, MODE_ONCE };

struct tensor {
  char name[72];
  enum dtype dtype;
  bool output, scalar;
  uint64_t elements, bytes, row; /* row: length of the last dimension */
  enum fill fill;
  double a, b;        /* parameters of the fill */
  double rtol, atol;  /* outputs; atol is relative to the root mean square */
};

struct workload {
  char uuid[104];
  bool timed;
  uint32_t axes, tensors;
  int64_t axis[KE_MAX_AXES];
  struct tensor tensor[KE_MAX_TENSORS];
};

#define MAX_BASELINES 6
struct job {
  enum mode mode;
  uint64_t seed;
  char *candidate, *oracle, *host, *lock;
  char *baseline_name[MAX_BASELINES], *baseline[MAX_BASELINES];
  uint32_t baselines;
  char **sandbox; /* argument vector in front of the host, NULL-terminated; NULL means none */
  uint32_t sandbox_args;
  char *cgroup[4];
  uint32_t cgroups;
  uint32_t uid, threads;
  uint64_t limit_as, limit_cpu, limit_fsize;
  double call_seconds, budget_seconds, target_width;
  uint32_t min_generations, max_generations, trials;
  bool cold;
  struct workload *workload;
  uint32_t workloads;
};

/* job.c */
struct job *job_read(FILE *in);

/* memory.c: a set of tensors in one memory file, as judge and hosts map it */
struct region {
  int fd;
  unsigned char *map;
  size_t size;
  struct ke_tensor t[KE_MAX_TENSORS]; /* by tensor index of the workload; only those of this region are filled */
};
void region_create(struct region *r, const struct workload *w, bool outputs);
void region_seal(struct region *r);
void region_destroy(struct region *r);
void *region_data(const struct region *r, uint32_t tensor);
void region_canary(struct region *r, const struct workload *w, bool outputs, uint64_t key);
/* Index of the first tensor whose slack was written, or -1. */
int region_canary_broken(const struct region *r, const struct workload *w, bool outputs, uint64_t key);
void region_flush(const struct region *r, const struct workload *w, bool outputs);

/* generate.c */
struct transform {
  double scale, offset;
  bool outlier, constant;
  const char *name;
};
void generate_inputs(const struct region *inputs, const struct workload *w, uint64_t key, const struct transform *change);
uint64_t mix64(uint64_t x);
uint64_t secret(void);
void poison(void *data, uint64_t bytes, unsigned pattern);

/* oracle.c */
struct answers {
  void *wide[KE_MAX_TENSORS]; /* outputs, by tensor index: floats in the oracle's type, others as they are */
};
void oracle_start(struct job *job, const struct workload *w);
void oracle_stop(void);
void oracle_compute(const struct workload *w, const struct region *inputs, struct answers *out);
void answers_free(struct answers *a, const struct workload *w);
/* Element of an answer as long double. */
long double answer_at(const struct workload *w, const struct answers *a, uint32_t tensor, uint64_t index);
bool dtype_is_float(enum dtype d);
size_t dtype_bytes(enum dtype d);

/* compare.c */
struct difference {
  bool ok;
  double worst;          /* largest error over tolerance, floats only */
  const char *code;      /* NULL when ok */
  uint32_t tensor;
  uint64_t index, wrong; /* first wrong element, and how many */
  double got, expected;
};
struct difference compare(const struct workload *w, const struct answers *want, void *const *got, double allowed);
/* The same against another kernel's output of the same contents, with `allowed` times the tolerance. */
struct difference compare_outputs(const struct workload *w, void *const *want, void *const *got, double allowed);

/* host control: hosts.c, kill.c */
enum outcome { CALL_OK, CALL_TIMEOUT, CALL_DIED, CALL_FAILED };
struct host {
  enum role role;
  const char *name;
  pid_t pid, inner; /* inner: the host process itself where a sandbox stands before it */
  struct region outputs;
  struct ke_control *control;
  int control_fd, out_fd;
  uint32_t sequence;
  int status; /* of waitpid, once dead */
  bool dead, timed_out;
  char *text; /* what it printed, capped */
  size_t text_len, text_total;
};
bool host_start(struct host *h, const struct job *job, const struct workload *w, const struct region *inputs, const char *object, enum role role,
                const char *name);
enum outcome host_call(struct host *h, const struct job *job, bool spin, bool touch, uint64_t *judge_ns, uint64_t *host_ns);
void pin_judge(const struct job *job);
void host_stop(struct host *h);
void host_free(struct host *h);
void host_drain(struct host *h);
uint64_t host_cpu_ns(const struct host *h);
void kill_tree(pid_t pid);
uint64_t now_ns(void);

/* stats.c */
double median(double *values, size_t n); /* sorts */
double quantile(const double *sorted, size_t n, double q);
/* Half width of the 95 % interval of the mean of n values, Student's t. */
double half_width(const double *values, size_t n, double *mean);

/* modes */
void verify_workload(struct job *job, const struct workload *w);
void benchmark_workload(struct job *job, const struct workload *w, uint32_t index);
void grade_workload(struct job *job, const struct workload *w);
void once_workload(struct job *job, const struct workload *w);

/* out.c: JSON lines on stdout */
void out_begin(const char *event);
void out_str(const char *key, const char *value);
void out_bytes(const char *key, const char *value, size_t length);
void out_num(const char *key, double value);
void out_int(const char *key, int64_t value);
void out_bool(const char *key, bool value);
void out_array(const char *key);
void out_object(const char *key);
void out_close(void);
void out_end(void);
void out_host_failure(const struct host *h, enum outcome outcome, const struct workload *w);
_Noreturn void die(const char *format, ...);
#endif
