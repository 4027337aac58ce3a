/* How fast is the candidate beside its baselines? Every round has new contents at the same addresses; in random order each
 * host is called once and timed by this process. Processes are started anew several times (generations). The score is the
 * median of the paired ratios; a second copy of the main baseline in the same rounds (A/A) shows what difference means nothing. */
#include "judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROUNDS 400
#define LEAST_ROUNDS 5
#define LEAST_CHECKS 8
enum { CANDIDATE, CONTROL, MAIN /* the baseline of which the control is a copy */ };

/* One workload's measurements over all generations. */
struct bench {
  const struct workload *w;
  struct late late;
  struct copies got, base;
  struct answers want;
  struct series ratio[MAX_HOSTS]; /* [h] baseline h / candidate, [CONTROL] main baseline / control, log */
  double *time[MAX_HOSTS], *arming[MAX_HOSTS];
  uint32_t rounds, warmups, generations, rejected, checked, disagreed[MAX_HOSTS];
  uint64_t calls;
  size_t capacity;
  double seconds, check_seconds;
  bool spin, finished;
};

struct bench_group {
  struct job *job;
  const struct group *g;
  struct region inputs;
  struct host host[MAX_HOSTS];
  struct bench *bench;
  uint32_t hosts;
  bool failed;
};

static void start_generation(struct bench_group *b) {
  int32_t cpu = cpus_choose();
  for (uint32_t h = 0; h < b->hosts; h++) {
    uint32_t which = h <= MAIN ? 0 : h - MAIN;
    enum role role = h == CANDIDATE ? ROLE_CANDIDATE : h == CONTROL ? ROLE_CONTROL : ROLE_BASELINE;
    const char *object = h == CANDIDATE ? b->job->candidate : b->job->baseline[which];
    host_start(&b->host[h], b->job, b->g, &b->inputs, object, role, h == CANDIDATE ? "candidate" : b->job->baseline_name[which], cpu);
  }
}

static void wrong(struct bench_group *b, struct bench *m, const struct difference *d, const char *code) {
  out_wrong(m->w, d, code, "timed call");
  b->failed = true;
}

/* Every timed answer is compared with the baseline's of the same contents; secret ones, and any that differs, with the oracle. */
static void check(struct bench_group *b, struct bench *m, const struct call *call, bool oracle) {
  const struct workload *w = m->w;
  int late = probe_changed(call, &m->got), broken = region_canary_broken(&b->host[CANDIDATE].outputs, w);
  if (late >= 0) wrong(b, m, &(struct difference){.tensor = (uint32_t)late}, "deferred_work");
  if (broken >= 0) wrong(b, m, &(struct difference){.tensor = (uint32_t)broken}, "wrote_outside_output");
  if (b->failed || (!oracle && compare_outputs(w, m->base.data, m->got.data, 3).ok)) return;
  uint64_t start = now_ns();
  oracle_compute(w, &b->inputs, &m->want);
  double own = compare(w, &m->want, NULL, m->base.data, INFINITY).worst;
  struct difference d = compare(w, &m->want, m->base.data, m->got.data, fmax(1, 4 * own));
  m->check_seconds += (double)(now_ns() - start) * 1e-9;
  m->checked++;
  if (!d.ok) wrong(b, m, &d, "timed_output_wrong");
}

static void shuffle(uint32_t *order, uint32_t n, uint64_t key) {
  for (uint32_t i = 0; i < n; i++) order[i] = i;
  for (uint32_t i = n; i-- > 1;) {
    uint32_t j = (uint32_t)(mix64(key + i) % (i + 1)), keep = order[i];
    order[i] = order[j];
    order[j] = keep;
  }
}

struct sample {
  double ns[MAX_HOSTS], arm[MAX_HOSTS];
  bool disturbed[MAX_HOSTS];
};

/* The host's own clock must tell nearly the time the judge's does; it runs in the judged process, so it is evidence, no measure. */
static bool clocks_agree(const struct call *c) {
  double gap = (double)c->judge_ns - (double)c->host_ns;
  return gap > -1000 && gap < fmax(c->spin ? 3000 : 100000, (double)c->judge_ns * 0.05);
}

/* One round: new contents, every host once. False when a host failed or answered wrongly (told already). */
static bool round_of(struct bench_group *b, struct bench *m, struct sample *s, bool oracle) {
  const struct workload *w = m->w;
  uint64_t key = derive(b->job->seed, 0xbe7c40000u + w->index, m->calls++);
  uint32_t order[MAX_HOSTS];
  struct call of_candidate = {0};
  generate_inputs(&b->inputs, w, key, NULL);
  late_choose(&m->late, &b->inputs, w, mix64(key));
  shuffle(order, b->hosts, key);
  for (uint32_t k = 0; k < b->hosts; k++) {
    uint32_t h = order[k];
    struct host *host = &b->host[h];
    struct call call = {.w = w, .spin = m->spin, .touch = !b->job->cold, .flush = b->job->cold, .late = &m->late, .probe = mix64(key + h) | 1};
    late_decoy(&m->late);
    region_poison(&host->outputs, w, (unsigned)(key >> 40));
    if (b->job->cold) {
      region_flush(&b->inputs, w);
      region_flush(&host->outputs, w);
    }
    enum outcome outcome = host_call(host, b->job, &call);
    if (outcome != CALL_OK) {
      host_stop(host);
      out_host_failure(host, outcome, w);
      b->failed = true;
      return false;
    }
    s->ns[h] = fmax(1, (double)call.judge_ns);
    s->arm[h] = (double)call.arm_ns;
    s->disturbed[h] = call.disturbed;
    if (!clocks_agree(&call)) m->disagreed[h]++;
    if (h == CANDIDATE) {
      of_candidate = call;
      host_take(host, w, &m->got);
    } else if (h == MAIN)
      host_take(host, w, &m->base);
  }
  check(b, m, &of_candidate, oracle);
  return !b->failed;
}

static void record(struct bench *m, uint32_t h, double log_ratio, double *local, size_t *n) {
  local[(*n)++] = log_ratio;
  if (m->ratio[h].values < m->capacity) m->ratio[h].value[m->ratio[h].values++] = log_ratio;
}

/* The rounds of one workload in one generation. */
static bool measure(struct bench_group *b, struct bench *m, double seconds) {
  static double local[MAX_HOSTS][MAX_ROUNDS];
  size_t n[MAX_HOSTS] = {0};
  struct sample s;
  uint64_t start = now_ns();
  double longest = 0;
  /* The first call of a process pays for its pages. */
  if (!round_of(b, m, &s, m->checked < LEAST_CHECKS)) return false;
  for (uint32_t h = 0; h < b->hosts; h++) longest = fmax(longest, s.ns[h]);
  if (m->generations == 0) m->spin = b->job->threads <= 1 && longest < 20e6;
  uint32_t least = longest > 20e6 ? 3 : LEAST_ROUNDS, secret_round = (uint32_t)(secret() % least);
  uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
  for (uint32_t r = 0; r < MAX_ROUNDS && (r < least || now_ns() < end); r++) {
    /* Checks against the oracle stop when they have had their tenth of the time, not before there are enough. */
    bool oracle = r == secret_round && (m->checked < LEAST_CHECKS || m->check_seconds < m->seconds * 0.1);
    if (!round_of(b, m, &s, oracle)) return false;
    for (uint32_t h = 0; h < b->hosts && m->rounds < m->capacity; h++) {
      m->time[h][m->rounds] = s.ns[h];
      m->arming[h][m->rounds] = s.arm[h];
    }
    m->rounds++;
    if (s.disturbed[CANDIDATE] || s.disturbed[MAIN]) m->rejected++;
    for (uint32_t h = MAIN; h < b->hosts; h++)
      if (!s.disturbed[CANDIDATE] && !s.disturbed[h]) record(m, h, log(s.ns[h] / s.ns[CANDIDATE]), local[h], &n[h]);
    if (!s.disturbed[CONTROL] && !s.disturbed[MAIN]) record(m, CONTROL, log(s.ns[MAIN] / s.ns[CONTROL]), local[CONTROL], &n[CONTROL]);
  }
  m->seconds += (double)(now_ns() - start) * 1e-9;
  /* A generation in which too few pairs were undisturbed says nothing. */
  for (uint32_t h = CONTROL; h < b->hosts; h++)
    if (n[h] < 3) return true;
  for (uint32_t h = CONTROL; h < b->hosts; h++) m->ratio[h].mid[m->generations] = median(local[h], n[h]);
  m->generations++;
  return true;
}

static void out_timing(const char *key, const struct bench *m, uint32_t h) {
  double middle = median(m->time[h], m->rounds);
  out_object(key);
  out_num("median_ns", middle);
  out_num("p10_ns", quantile(m->time[h], m->rounds, 0.1));
  out_num("p90_ns", quantile(m->time[h], m->rounds, 0.9));
  out_int("samples", (int64_t)m->rounds);
  out_close();
}

static double lower_quarter(double *values, size_t n) {
  median(values, n); /* sorts them */
  return quantile(values, n, 0.25);
}

static void report(const struct bench_group *b, struct bench *m) {
  struct interval main = estimate(&m->ratio[MAIN], &m->ratio[CONTROL], m->generations);
  double bias, half = mean_half_width(m->ratio[CONTROL].mid, m->generations, &bias);
  out_begin("benchmarked");
  out_str("workload", m->w->uuid);
  out_timing("candidate", m, CANDIDATE);
  out_array("baselines");
  for (uint32_t h = MAIN; h < b->hosts; h++) {
    struct interval i = estimate(&m->ratio[h], &m->ratio[CONTROL], m->generations);
    out_object(NULL);
    out_str("name", b->job->baseline_name[h - MAIN]);
    out_timing("timing", m, h);
    out_num("ratio", i.ratio);
    out_num("low", i.low);
    out_num("high", i.high);
    out_close();
  }
  out_close();
  out_num("control_bias", exp(fabs(bias)) - 1);
  out_num("control_half_width", exp(half) - 1);
  /* What works ahead is late at every call; what the machine delays is not, so the lower quarter tells. */
  out_num("arming_candidate_ns", lower_quarter(m->arming[CANDIDATE], m->rounds));
  out_num("arming_baseline_ns", lower_quarter(m->arming[MAIN], m->rounds));
  out_int("pairs", (int64_t)m->ratio[MAIN].values);
  out_int("rejected", m->rejected);
  out_int("dirty_candidate", m->disagreed[CANDIDATE]);
  out_int("dirty_baseline", m->disagreed[MAIN]);
  out_int("generations", m->generations);
  out_int("rounds", m->rounds);
  out_int("checked", m->checked);
  out_str("handshake", m->spin ? "spin" : "block");
  out_bool("resolved", main.high / main.low - 1 <= b->job->target_width);
  out_num("seconds", m->seconds);
  out_end();
}

static void finish(struct bench_group *b, struct bench *m) {
  m->finished = true;
  if (m->generations >= 2) {
    report(b, m);
    return;
  }
  out_begin("unmeasured");
  out_str("workload", m->w->uuid);
  out_int("rejected", m->rejected);
  out_int("rounds", m->rounds);
  out_end();
}

/* Whether a workload needs another generation. */
static bool wants_more(const struct bench_group *b, const struct bench *m, uint32_t tries, uint32_t most) {
  const struct job *job = b->job;
  if (tries >= most) return false;
  if (m->generations >= 2) {
    struct interval i = estimate(&m->ratio[MAIN], &m->ratio[CONTROL], m->generations);
    out_begin("progress");
    out_str("workload", m->w->uuid);
    out_int("index", m->w->index);
    out_int("generation", tries);
    out_num("ratio", i.ratio);
    out_num("low", i.low);
    out_num("high", i.high);
    out_end();
    if (m->generations >= job->min_generations && i.high / i.low - 1 <= job->target_width) return false;
  }
  return tries < job->min_generations || m->seconds < job->budget_seconds;
}

static void bench_make(struct bench *m, const struct job *job, const struct workload *w, uint32_t hosts) {
  m->w = w;
  m->capacity = MAX_GENERATIONS * MAX_ROUNDS;
  m->spin = job->threads <= 1;
  m->finished = !w->timed;
  for (uint32_t h = 0; h < hosts; h++) {
    m->ratio[h].value = malloc(m->capacity * sizeof(double));
    m->time[h] = malloc(m->capacity * sizeof(double));
    m->arming[h] = malloc(m->capacity * sizeof(double));
    if (m->ratio[h].value == NULL || m->time[h] == NULL || m->arming[h] == NULL) die("out of memory");
  }
  copies_make(&m->got, w);
  copies_make(&m->base, w);
}

static void bench_free(struct bench *m, uint32_t hosts) {
  for (uint32_t h = 0; h < hosts; h++) {
    free(m->ratio[h].value);
    free(m->time[h]);
    free(m->arming[h]);
  }
  answers_free(&m->want);
  copies_free(&m->got);
  copies_free(&m->base);
}

void benchmark_group(struct job *job, const struct group *g) {
  struct bench_group b = {.job = job, .g = g, .hosts = job->baselines + MAIN};
  uint32_t most = job->max_generations < MAX_GENERATIONS ? job->max_generations : MAX_GENERATIONS, left = 0;
  if (job->baselines == 0 || most < 2) die("a benchmark needs a baseline and two generations");
  /* Starting a generation costs some 60 ms, so one is worth several times that; eight of them give a tight interval. */
  double share = fmin(0.25, job->budget_seconds / 8);
  b.bench = calloc(g->workloads, sizeof *b.bench);
  if (b.bench == NULL) die("out of memory");
  region_create(&b.inputs, g, false);
  region_seal(&b.inputs);
  for (uint32_t k = 0; k < g->workloads; k++) {
    bench_make(&b.bench[k], job, &g->w[k], b.hosts);
    left += !b.bench[k].finished;
  }
  for (uint32_t tries = 1; left > 0 && !b.failed; tries++) {
    start_generation(&b);
    for (uint32_t k = 0; k < g->workloads && !b.failed; k++) {
      struct bench *m = &b.bench[k];
      if (m->finished || !measure(&b, m, share) || wants_more(&b, m, tries, most)) continue;
      finish(&b, m);
      left--;
    }
    for (uint32_t h = 0; h < b.hosts; h++) host_free(&b.host[h]);
  }
  for (uint32_t k = 0; k < g->workloads; k++) bench_free(&b.bench[k], b.hosts);
  free(b.bench);
  region_destroy(&b.inputs);
}
