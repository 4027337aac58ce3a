/* What one core, and all cores together, can do: multiply-adds a second by type and vector width, and bytes copied a second by
 * the level of memory that holds them. A peak is an upper bound, so each figure is the best of many short windows.
 * Prints one JSON object. usage: ke-peaks L1 L2 L3 (bytes of the caches, 0 where there is none) */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC_RAW, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef double bench_fn(void *argument); /* one window; returns work per second */
typedef float f1;
typedef double d1;
typedef float f8 __attribute__((vector_size(32)));
typedef double d4 __attribute__((vector_size(32)));
typedef float f16v __attribute__((vector_size(64)));
typedef double d8 __attribute__((vector_size(64)));
typedef int32_t i8v __attribute__((vector_size(32)));
typedef int32_t i16v __attribute__((vector_size(64)));

/* Twelve independent chains of a = a * b + c, kept in registers: enough to cover the latency of two units. */
#define STEP(x)     \
  x = x * b + c;    \
  __asm__ volatile("" : CONSTRAINT(x))
#define FMA_BENCH(NAME, TARGET, TYPE, LANES, ROUNDS)                                                        \
  __attribute__((target(TARGET), noinline, optimize("O2,fp-contract=fast"))) static double NAME(void *unused) { \
    (void)unused;                                                                                           \
    TYPE zero = {0}, b = zero, c = zero, p = zero, q = zero, r = zero, s = zero, t = zero, u = zero;        \
    TYPE v = zero, w = zero, x = zero, y = zero, z = zero, o = zero;                                        \
    __asm__ volatile("" : CONSTRAINT(b), CONSTRAINT(c));                                                    \
    double start = now();                                                                                   \
    for (long n = 0; n < (ROUNDS); n++) {                                                                   \
      STEP(p); STEP(q); STEP(r); STEP(s); STEP(t); STEP(u);                                                 \
      STEP(v); STEP(w); STEP(x); STEP(y); STEP(z); STEP(o);                                                 \
    }                                                                                                       \
    return 2.0 * (LANES) * 12 * (double)(ROUNDS) / (now() - start);                                         \
  }
#define CONSTRAINT(x) "+x"(x)
FMA_BENCH(f32_scalar, "fma", f1, 1, 40000)
FMA_BENCH(f64_scalar, "fma", d1, 1, 40000)
FMA_BENCH(f32_avx2, "avx2,fma", f8, 8, 40000)
FMA_BENCH(f64_avx2, "avx2,fma", d4, 4, 40000)
FMA_BENCH(i32_avx2, "avx2,fma", i8v, 8, 20000)
#undef CONSTRAINT
#define CONSTRAINT(x) "+v"(x)
FMA_BENCH(f32_avx512, "avx512f", f16v, 16, 40000)
FMA_BENCH(f64_avx512, "avx512f", d8, 8, 40000)
FMA_BENCH(i32_avx512, "avx512f", i16v, 16, 20000)

struct copy {
  unsigned char *from, *to;
  size_t bytes;
  int repeats;
};
/* Read and written bytes a second of a plain copy. */
static double copy_window(void *argument) {
  struct copy *c = argument;
  double start = now();
  for (int r = 0; r < c->repeats; r++) {
    memcpy(c->to, c->from, c->bytes);
    __asm__ volatile("" ::: "memory");
  }
  return 2.0 * (double)c->bytes * c->repeats / (now() - start);
}
/* Read bytes a second: a kernel that only reads is bound by this one. */
__attribute__((target("avx2"))) static double read_window(void *argument) {
  struct copy *c = argument;
  f8 sum[8];
  memset(sum, 0, sizeof sum);
  double start = now();
  for (int r = 0; r < c->repeats; r++)
    for (size_t at = 0; at + 256 <= c->bytes; at += 256)
      for (int k = 0; k < 8; k++) sum[k] += *(const f8 *)(c->from + at + 32 * k);
  double seconds = now() - start;
  for (int k = 0; k < 8; k++) __asm__ volatile("" ::"x"(sum[k]));
  return (double)(c->bytes / 256 * 256) * c->repeats / seconds;
}

static void flush(const unsigned char *at, size_t bytes) {
#if defined(__x86_64__)
  for (size_t i = 0; i < bytes; i += 64) __builtin_ia32_clflush(at + i);
  __builtin_ia32_mfence();
#endif
}
/* The same from memory with a small working set: page walks, which slow a large one down, are no limit of the memory. */
static double cold_copy_window(void *argument) {
  struct copy *c = argument;
  flush(c->from, c->bytes);
  flush(c->to, c->bytes);
  return copy_window(argument);
}
static double cold_read_window(void *argument) {
  struct copy *c = argument;
  flush(c->from, c->bytes);
  return read_window(argument);
}

static double best_of(bench_fn *f, void *argument, double seconds) {
  double best = 0, end = now() + seconds;
  do {
    double v = f(argument);
    if (v > best) best = v;
  } while (now() < end);
  return best;
}

struct worker {
  bench_fn *f;
  void *argument;
  double seconds, result;
  pthread_barrier_t *start;
};
static void *work(void *p) {
  struct worker *w = p;
  pthread_barrier_wait(w->start);
  w->result = best_of(w->f, w->argument, w->seconds);
  return NULL;
}
static double all_cores(bench_fn *f, void **arguments, int cores, double seconds) {
  pthread_t threads[256];
  struct worker workers[256];
  pthread_barrier_t start;
  pthread_barrier_init(&start, NULL, (unsigned)cores);
  for (int i = 0; i < cores; i++) {
    workers[i] = (struct worker){f, arguments[i], seconds, 0, &start};
    pthread_create(&threads[i], NULL, work, &workers[i]);
  }
  double sum = 0;
  for (int i = 0; i < cores; i++) {
    pthread_join(threads[i], NULL);
    sum += workers[i].result;
  }
  return sum;
}

static struct copy *make_copy(size_t bytes) {
  struct copy *c = malloc(sizeof *c);
  bytes = bytes / 256 * 256;
  if (c == NULL || posix_memalign((void **)&c->from, 4096, bytes) || posix_memalign((void **)&c->to, 4096, bytes)) exit(1);
  memset(c->from, 0, bytes);
  memset(c->to, 0, bytes);
  c->bytes = bytes;
  c->repeats = bytes < 4000000 ? (int)(4000000 / bytes) + 1 : 1;
  return c;
}

static void free_copy(struct copy *c) {
  free(c->from);
  free(c->to);
  free(c);
}

/* Best of copying and reading at one level of memory, by one core and by all. */
struct level {
  double one, all;
};
static struct level measure_level(size_t bytes, size_t bytes_each, int cores, bench_fn *copying, bench_fn *reading) {
  bench_fn *const ways[] = {copying, __builtin_cpu_supports("avx2") ? reading : NULL};
  struct level best = {0, 0};
  struct copy *c = make_copy(bytes);
  void *each[256];
  for (int k = 0; k < cores; k++) each[k] = make_copy(bytes_each);
  for (int w = 0; w < 2; w++) {
    if (ways[w] == NULL) continue;
    double one = best_of(ways[w], c, 0.12), all = all_cores(ways[w], each, cores, 0.12);
    if (one > best.one) best.one = one;
    if (all > best.all) best.all = all;
  }
  free_copy(c);
  for (int k = 0; k < cores; k++) free_copy(each[k]);
  return best;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: ke-peaks L1 L2 L3\n");
    return 2;
  }
  size_t cache[3];
  for (int i = 0; i < 3; i++) cache[i] = strtoull(argv[i + 1], NULL, 10);
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  int cores = online < 1 ? 1 : online > 256 ? 256 : (int)online;
  void *none[256] = {0};
  struct {
    const char *name;
    bench_fn *f;
    int have;
  } units[] = {{"float32.scalar", f32_scalar, __builtin_cpu_supports("fma")},   {"float64.scalar", f64_scalar, __builtin_cpu_supports("fma")},
               {"float32.avx2", f32_avx2, __builtin_cpu_supports("avx2")},      {"float64.avx2", f64_avx2, __builtin_cpu_supports("avx2")},
               {"int32.avx2", i32_avx2, __builtin_cpu_supports("avx2")},        {"float32.avx512", f32_avx512, __builtin_cpu_supports("avx512f")},
               {"float64.avx512", f64_avx512, __builtin_cpu_supports("avx512f")}, {"int32.avx512", i32_avx512, __builtin_cpu_supports("avx512f")}};
  const int count = (int)(sizeof units / sizeof *units);
  printf("{\"flops\":{");
  for (int i = 0, first = 1; i < count; i++)
    if (units[i].have) printf("%s\"%s\":%.6g", first ? "" : ",", units[i].name, best_of(units[i].f, NULL, 0.1)), first = 0;
  printf("},\"flops_all\":{");
  for (int i = 0, first = 1; i < count; i++)
    if (units[i].have) printf("%s\"%s\":%.6g", first ? "" : ",", units[i].name, all_cores(units[i].f, none, cores, 0.1)), first = 0;
  /* A copy of two halves of a quarter of each level stays in it; memory is four times the last level, at least 64 MB. */
  const char *names[] = {"L1", "L2", "L3", "DRAM"};
  size_t last = cache[2] ? cache[2] : cache[1] ? cache[1] : cache[0], dram = last * 4 < (64u << 20) ? 64u << 20 : last * 4;
  if (dram > (256u << 20)) dram = 256u << 20;
  size_t sizes[] = {cache[0] / 4, cache[1] / 4, cache[2] / 8, dram / 2};
  struct level level[4] = {{0, 0}};
  for (int i = 0; i < 4; i++)
    if (sizes[i] >= 256) level[i] = measure_level(sizes[i], i < 2 ? sizes[i] : sizes[i] / (size_t)cores, cores, copy_window, read_window);
  struct level cold = measure_level(4u << 20, 4u << 20, cores, cold_copy_window, cold_read_window);
  if (cold.one > level[3].one) level[3].one = cold.one;
  if (cold.all > level[3].all) level[3].all = cold.all;
  printf("},\"bandwidth\":{");
  for (int i = 0, first = 1; i < 4; i++)
    if (sizes[i] >= 256) printf("%s\"%s\":%.6g", first ? "" : ",", names[i], level[i].one), first = 0;
  printf("},\"bandwidth_all\":{");
  for (int i = 0, first = 1; i < 4; i++)
    if (sizes[i] >= 256) printf("%s\"%s\":%.6g", first ? "" : ",", names[i], level[i].all), first = 0;
  printf("},\"cores\":%d}\n", cores);
  return 0;
}
