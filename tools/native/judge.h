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
enum role { ROLE_CANDIDATE, ROLE_BASELINE, ROLE_CONTROL, ROLE_ORACLE };
enum mode { MODE_VERIFY, MODE_BENCHMARK, MODE_GRADE, MODE_ONCE };

struct tensor {
  char name[72];
  enum dtype dtype;
  bool output, scalar;
  uint64_t elements, bytes, row; /* row: length of the last dimension */
  enum fill fill;
  double a, b;       /* parameters of the fill */
  double rtol, atol; /* outputs; atol is relative to the root mean square */
};

struct workload {
  char uuid[104];
  bool timed;
  uint32_t axes, tensors;
  uint32_t index, first; /* its place in its group, and that of its first tensor */
  int64_t axis[KE_MAX_AXES];
  struct tensor tensor[KE_MAX_TENSORS];
};

/* Workloads that one set of hosts serves: starting hosts costs more than many a call. */
struct group {
  struct workload *w;
  uint32_t workloads, tensors, axes;
};

#define MAX_BASELINES 6
#define MAX_HOSTS (MAX_BASELINES + 2)
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
/* The workloads from `start` that fit one set of hosts. */
struct group job_group(struct job *job, uint32_t start);

/* memory.c: the tensors of a group in one memory file, as judge and hosts map it */
struct region {
  int fd;
  bool outputs;
  unsigned char *map;
  size_t size;
  struct ke_tensor *t; /* by tensor of the group; only those of this region are filled */
};
void region_create(struct region *r, const struct group *g, bool outputs);
void region_seal(struct region *r);
void region_destroy(struct region *r);
/* First byte of tensor i of the workload. */
void *region_data(const struct region *r, const struct workload *w, uint32_t i);
void region_canary(struct region *r, const struct group *g);
/* Index of the first tensor of the workload whose slack was written, or -1. */
int region_canary_broken(const struct region *r, const struct workload *w);
void region_poison(const struct region *r, const struct workload *w, unsigned pattern);
void region_flush(const struct region *r, const struct workload *w);
void flush_range(const void *from, size_t bytes);
void flush_fence(void);
void poison(void *data, uint64_t bytes, unsigned pattern);

/* random.c */
uint64_t secret(void);
uint64_t mix64(uint64_t x);
/* A keyed hash (SipHash-2-4): contents that a kernel sees tell nothing about those to come. */
uint64_t derive(uint64_t seed, uint64_t purpose, uint64_t index);

/* generate.c */
struct transform {
  double scale, offset;
  bool outlier, constant, nudge;
  const char *name;
};
void generate_inputs(const struct region *inputs, const struct workload *w, uint64_t key, const struct transform *change);
/* The contents of one trial of verification or grading; answers the name of what was done to them. */
const char *generate_trial(const struct region *inputs, const struct workload *w, uint64_t seed, uint32_t trial);

/* late.c: lines of the inputs that get their contents only when the host stands ready, so that nothing can be computed before */
#define LATE_LINES 256
struct late {
  uint32_t lines;
  struct {
    unsigned char *at, final[KE_LINE], decoy[KE_LINE];
    uint32_t bytes;
  } line[LATE_LINES];
};
void late_choose(struct late *l, const struct region *inputs, const struct workload *w, uint64_t key);
void late_decoy(const struct late *l);
void late_final(const struct late *l, bool flush);

/* oracle.c */
struct answers {
  void *wide[KE_MAX_TENSORS]; /* outputs, by tensor index: floats in the oracle's type, others as they are */
};
void oracle_start(struct job *job, const struct group *g);
void oracle_stop(void);
void oracle_compute(const struct workload *w, const struct region *inputs, struct answers *out);
void answers_free(struct answers *a);
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
  char got_text[24], expected_text[24]; /* where a double cannot tell the value */
};
/* `got` against the oracle's answers; where `base` (the baseline's outputs, or NULL) differs from the oracle in kind, its answer is right too. */
struct difference compare(const struct workload *w, const struct answers *want, void *const *base, void *const *got, double allowed);
/* The same against another kernel's output of the same contents, with `allowed` times the tolerance; without `worst`. */
struct difference compare_outputs(const struct workload *w, void *const *want, void *const *got, double allowed);
double number_at(const void *data, enum dtype d, uint64_t k);
void store_number(void *data, enum dtype d, uint64_t k, double v);

/* copies of a workload's outputs in the judge's own memory */
struct copies {
  void *data[KE_MAX_TENSORS];
};
void copies_make(struct copies *c, const struct workload *w);
void copies_free(struct copies *c);

/* cpus.c: one processor for the judge, another for the hosts */
void cpus_init(const struct job *job);
/* The processor of the next hosts, or -1 where they are not bound. */
int32_t cpus_choose(void);
/* Where it is allowed, judge and hosts run before ordinary work, alike. */
bool raise_priority(pid_t pid);

/* host control: hosts.c, kill.c, failure.c */
enum outcome { CALL_OK, CALL_TIMEOUT, CALL_DIED, CALL_FAILED };
#define PROBE_LINES 16
#define TEXT_CAP 65536
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
struct call {
  const struct workload *w;
  bool spin, touch, flush;
  const struct late *late; /* or NULL */
  uint64_t probe;          /* key of the places looked at the moment the host says done; 0 for none */
  /* answers */
  uint64_t judge_ns, host_ns, arm_ns;
  bool disturbed; /* the judge itself lost its processor during the call */
  uint32_t probes;
  struct {
    uint32_t tensor, bytes;
    uint64_t at;
    unsigned char seen[KE_LINE];
  } seen[PROBE_LINES];
};
void host_start(struct host *h, const struct job *job, const struct group *g, const struct region *inputs, const char *object, enum role role,
                const char *name, int32_t cpu);
enum outcome host_call(struct host *h, const struct job *job, struct call *c);
void host_take(const struct host *h, const struct workload *w, struct copies *into);
/* The first tensor that changed after the host said done, or -1. */
int probe_changed(const struct call *c, const struct copies *taken);
void host_drain(struct host *h);
void host_stop(struct host *h);
void host_free(struct host *h);
void kill_tree(pid_t pid);
uint64_t now_ns(void);

/* estimate.c */
#define MAX_GENERATIONS 24
struct series {
  double mid[MAX_GENERATIONS]; /* median log ratio of each generation */
  double *value;               /* all log ratios */
  size_t values;
};
struct interval {
  double ratio, low, high; /* 95 % */
};
double median(double *values, size_t n); /* sorts */
double quantile(const double *sorted, size_t n, double q);
double mean_half_width(const double *values, size_t n, double *mean);
struct interval estimate(const struct series *s, const struct series *control, uint32_t generations);

/* modes */
void verify_group(struct job *job, const struct group *g);
void benchmark_group(struct job *job, const struct group *g);
void grade_group(struct job *job, const struct group *g);

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
void out_wrong(const struct workload *w, const struct difference *d, const char *code, const char *trial);
_Noreturn void die(const char *format, ...);
#endif
