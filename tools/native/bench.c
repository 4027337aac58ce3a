/* How fast is the candidate beside its baselines? Every round has new contents at the same addresses; in random order each
 * host is called once and timed by this process. The score is the median of the paired ratios. Processes are started anew
 * several times (generations), because two launches of one program differ; the interval is that of the generations' medians,
 * and a second copy of the main baseline in the same rounds (A/A) shows how large a difference means nothing. */
#include "judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROUNDS 60
#define MAX_GENERATIONS 24
#define MAX_HOSTS (MAX_BASELINES + 2)
#define CONTROL 1 /* hosts: 0 candidate, 1 control (second copy of baseline 0), 2.. baselines */

struct sample {
  double ns[MAX_HOSTS];
  bool clean[MAX_HOSTS];
};

struct bench {
  struct job *job;
  const struct workload *w;
  struct region inputs;
  struct host host[MAX_HOSTS];
  uint32_t hosts, generations, rounds, rejected, checked;
  uint32_t dirty[MAX_HOSTS];
  uint64_t calls;
  bool spin, stopped, failed;
  void *got[KE_MAX_TENSORS], *base[KE_MAX_TENSORS];
  struct answers want;
  double mid[MAX_HOSTS][MAX_GENERATIONS]; /* medians of log ratios by generation: [h] baseline h / candidate, [0] baseline / control */
  double *ratio[MAX_HOSTS];               /* all log ratios */
  double *time[MAX_HOSTS];
  size_t times[MAX_HOSTS], ratios[MAX_HOSTS];
  size_t capacity;
};

/* The judge's clock contains the host's; where they part, the judge or the host was pre-empted between the two readings. */
static bool clocks_agree(double judge, double host, bool spin) {
  double gap = judge - host;
  return gap > -1000 && gap < fmax(spin ? 3000 : 60000, judge * (spin ? 0.02 : 0.05));
}

static void start_generation(struct bench *b) {
  struct job *job = b->job;
  for (uint32_t h = 0; h < b->hosts; h++) {
    bool candidate = h == 0;
    uint32_t which = h <= CONTROL ? 0 : h - 2;
    host_start(&b->host[h], job, b->w, &b->inputs, candidate ? job->candidate : job->baseline[which],
               candidate ? ROLE_CANDIDATE : h == CONTROL ? ROLE_CONTROL : ROLE_BASELINE, candidate ? "candidate" : job->baseline_name[which]);
  }
}

static void take(void **into, const struct host *h, const struct workload *w) {
  for (uint32_t i = 0; i < w->tensors; i++)
    if (w->tensor[i].output) memcpy(into[i], region_data(&h->outputs, i), w->tensor[i].bytes);
}

static void report_wrong(struct bench *b, const struct difference *d, const char *code) {
  out_begin("wrong");
  out_str("workload", b->w->uuid);
  out_str("code", code);
  out_str("trial", "timed call");
  out_str("output", b->w->tensor[d->tensor].name);
  out_int("index", (int64_t)d->index);
  out_num("got", d->got);
  out_num("expected", d->expected);
  out_str("got_text", isnan(d->got) ? "nan" : "");
  out_str("expected_text", isnan(d->expected) ? "nan" : "");
  out_int("wrong_elements", (int64_t)d->wrong);
  out_int("elements", (int64_t)b->w->tensor[d->tensor].elements);
  out_num("error_over_tolerance", d->worst);
  out_end();
  b->failed = true;
}

/* Every timed answer is compared with the baseline's of the same contents; a few secret ones, and any that differs, with the oracle. */
static void check(struct bench *b, bool oracle) {
  const struct workload *w = b->w;
  struct difference d = compare_outputs(w, b->base, b->got, 3);
  if (region_canary_broken(&b->host[0].outputs, w, true, b->job->seed) >= 0) {
    report_wrong(b, &d, "wrote_outside_output");
    return;
  }
  if (d.ok && !oracle) return;
  oracle_compute(w, &b->inputs, &b->want);
  struct difference own = compare(w, &b->want, b->base, INFINITY);
  if (!own.ok) return;
  double allowed = own.worst * 4 > 1 ? own.worst * 4 : 1;
  struct difference exact = compare(w, &b->want, b->got, allowed);
  b->checked++;
  if (!exact.ok) report_wrong(b, &exact, "timed_output_wrong");
}

/* One round: new contents, every host once. False when a host failed (told already). */
static bool round_of(struct bench *b, struct sample *s, bool verify_with_oracle) {
  struct job *job = b->job;
  const struct workload *w = b->w;
  uint64_t key = mix64(job->seed ^ mix64(0xbe7c4 + b->calls++));
  uint32_t order[MAX_HOSTS];
  generate_inputs(&b->inputs, w, key, NULL);
  for (uint32_t i = 0; i < b->hosts; i++) order[i] = i;
  for (uint32_t i = b->hosts - 1; i > 0; i--) {
    uint32_t j = (uint32_t)(mix64(key + i) % (i + 1)), keep = order[i];
    order[i] = order[j];
    order[j] = keep;
  }
  for (uint32_t k = 0; k < b->hosts; k++) {
    uint32_t h = order[k];
    struct host *host = &b->host[h];
    for (uint32_t i = 0; i < w->tensors; i++)
      if (w->tensor[i].output) poison(region_data(&host->outputs, i), w->tensor[i].bytes, (unsigned)key);
    if (job->cold) {
      region_flush(&b->inputs, w, false);
      region_flush(&host->outputs, w, true);
    }
    uint64_t judge_ns = 0, host_ns = 0;
    enum outcome outcome = host_call(host, job, b->spin, !job->cold, &judge_ns, &host_ns);
    if (outcome != CALL_OK) {
      host_stop(host);
      out_host_failure(host, outcome, w);
      b->failed = true;
      return false;
    }
    s->ns[h] = (double)judge_ns;
    s->clean[h] = clocks_agree((double)judge_ns, (double)host_ns, b->spin);
    if (!s->clean[h]) b->dirty[h]++;
    if (h == 0) take(b->got, host, w);
    if (h == 2) take(b->base, host, w);
  }
  check(b, verify_with_oracle);
  return !b->failed;
}

static void record(struct bench *b, uint32_t h, double log_ratio, double *local, size_t *n) {
  if (b->ratios[h] < b->capacity) b->ratio[h][b->ratios[h]++] = log_ratio;
  local[(*n)++] = log_ratio;
}

/* One generation of processes: warm-up, then rounds for its share of the budget. */
static bool generation(struct bench *b, double seconds) {
  struct sample s;
  double local[MAX_HOSTS][MAX_ROUNDS];
  size_t n[MAX_HOSTS] = {0};
  start_generation(b);
  region_canary(&b->host[0].outputs, b->w, true, b->job->seed);
  bool ok = true;
  for (int warm = 0; ok && warm < 2; warm++) {
    ok = round_of(b, &s, warm == 0);
    double longest = 0;
    for (uint32_t h = 0; ok && h < b->hosts; h++) longest = fmax(longest, s.ns[h]);
    if (ok && b->generations == 0) b->spin = b->job->threads <= 1 && longest < 20e6;
  }
  uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
  uint32_t secret_round = (uint32_t)(secret() % 5);
  for (uint32_t r = 0; ok && r < MAX_ROUNDS && (r < 5 || now_ns() < end); r++) {
    ok = round_of(b, &s, r == secret_round);
    if (!ok) break;
    b->rounds++;
    for (uint32_t h = 0; h < b->hosts; h++)
      if (b->times[h] < b->capacity) b->time[h][b->times[h]++] = s.ns[h];
    if (!s.clean[0] || !s.clean[2]) b->rejected++;
    for (uint32_t h = 2; h < b->hosts; h++)
      if (s.clean[0] && s.clean[h]) record(b, h, log(s.ns[h] / s.ns[0]), local[h], &n[h]);
    if (s.clean[CONTROL] && s.clean[2]) record(b, CONTROL, log(s.ns[2] / s.ns[CONTROL]), local[CONTROL], &n[CONTROL]);
  }
  for (uint32_t h = 0; h < b->hosts; h++) host_free(&b->host[h]);
  if (!ok) return false;
  /* A generation in which too few pairs were clean says nothing. */
  bool enough = true;
  for (uint32_t h = 1; h < b->hosts; h++) enough = enough && n[h] >= 3;
  if (!enough) return true;
  for (uint32_t h = 1; h < b->hosts; h++) b->mid[h][b->generations] = median(local[h], n[h]);
  b->generations++;
  return true;
}

struct interval {
  double ratio, low, high, bias, spread;
};

/* Ratio of baseline h to the candidate, with its 95 % interval, widened by what the A/A control shows in the same rounds. */
static struct interval estimate(struct bench *b, uint32_t h) {
  double mean, control_mean, half = half_width(b->mid[h], b->generations, &mean);
  double control = half_width(b->mid[CONTROL], b->generations, &control_mean);
  double *copy = malloc((b->ratios[h] + 1) * sizeof *copy);
  if (copy == NULL) die("out of memory");
  memcpy(copy, b->ratio[h], b->ratios[h] * sizeof *copy);
  double centre = median(copy, b->ratios[h]);
  free(copy);
  double wide = fmax(half, fabs(control_mean)) + 0.001;
  struct interval i = {exp(centre), exp(fmin(mean - wide, centre)), exp(fmax(mean + wide, centre)), exp(fabs(control_mean)) - 1, control};
  return i;
}

static void out_timing(const char *key, struct bench *b, uint32_t h) {
  double middle = median(b->time[h], b->times[h]);
  out_object(key);
  out_num("median_ns", middle);
  out_num("p10_ns", quantile(b->time[h], b->times[h], 0.1));
  out_num("p90_ns", quantile(b->time[h], b->times[h], 0.9));
  out_int("samples", (int64_t)b->times[h]);
  out_close();
}

static void report(struct bench *b, double seconds) {
  struct interval main = estimate(b, 2);
  out_begin("benchmarked");
  out_str("workload", b->w->uuid);
  out_timing("candidate", b, 0);
  out_array("baselines");
  for (uint32_t h = 2; h < b->hosts; h++) {
    struct interval i = estimate(b, h);
    out_object(NULL);
    out_str("name", b->job->baseline_name[h - 2]);
    out_timing("timing", b, h);
    out_num("ratio", i.ratio);
    out_num("low", i.low);
    out_num("high", i.high);
    out_close();
  }
  out_close();
  out_num("control_bias", main.bias);
  out_num("control_half_width", exp(main.spread) - 1);
  out_int("pairs", (int64_t)b->ratios[2]);
  out_int("rejected", b->rejected);
  out_int("dirty_candidate", b->dirty[0]);
  out_int("dirty_baseline", b->dirty[2]);
  out_int("generations", b->generations);
  out_int("rounds", b->rounds);
  out_int("checked", b->checked);
  out_str("handshake", b->spin ? "spin" : "block");
  out_bool("resolved", main.high / main.low - 1 <= b->job->target_width);
  out_num("seconds", seconds);
  out_end();
}

void benchmark_workload(struct job *job, const struct workload *w, uint32_t index) {
  struct bench *b = calloc(1, sizeof *b);
  if (b == NULL) die("out of memory");
  b->job = job;
  b->w = w;
  b->hosts = job->baselines + 2;
  b->capacity = MAX_GENERATIONS * MAX_ROUNDS;
  b->spin = job->threads <= 1;
  for (uint32_t h = 0; h < b->hosts; h++) {
    b->ratio[h] = malloc(b->capacity * sizeof(double));
    b->time[h] = malloc(b->capacity * sizeof(double));
    if (b->ratio[h] == NULL || b->time[h] == NULL) die("out of memory");
  }
  for (uint32_t i = 0; i < w->tensors; i++)
    if (w->tensor[i].output && ((b->got[i] = malloc(w->tensor[i].bytes + 1)) == NULL || (b->base[i] = malloc(w->tensor[i].bytes + 1)) == NULL)) die("out of memory");
  region_create(&b->inputs, w, false);
  region_seal(&b->inputs);
  uint64_t start = now_ns();
  double seconds = 0;
  uint32_t tries = 0, most = job->max_generations < MAX_GENERATIONS ? job->max_generations : MAX_GENERATIONS;
  while (tries < most) {
    double share = fmax(0.02, job->budget_seconds / most * 0.8);
    if (!generation(b, share)) break;
    tries++;
    seconds = (double)(now_ns() - start) * 1e-9;
    if (b->generations >= 2) {
      struct interval i = estimate(b, 2);
      out_begin("progress");
      out_str("workload", w->uuid);
      out_int("index", index);
      out_int("generation", tries);
      out_num("ratio", i.ratio);
      out_num("low", i.low);
      out_num("high", i.high);
      out_end();
      if (b->generations >= job->min_generations && i.high / i.low - 1 <= job->target_width) break;
    }
    if (tries >= job->min_generations && seconds > job->budget_seconds) break;
  }
  for (uint32_t h = 0; h < b->hosts; h++) host_free(&b->host[h]);
  if (!b->failed) {
    if (b->generations >= 2 && b->ratios[2] > 0) report(b, seconds);
    else {
      out_begin("unmeasured");
      out_str("workload", w->uuid);
      out_int("rejected", b->rejected);
      out_int("rounds", b->rounds);
      out_end();
    }
  }
  answers_free(&b->want, w);
  for (uint32_t h = 0; h < b->hosts; h++) {
    free(b->ratio[h]);
    free(b->time[h]);
  }
  for (uint32_t i = 0; i < w->tensors; i++) {
    free(b->got[i]);
    free(b->base[i]);
  }
  region_destroy(&b->inputs);
  free(b);
}
