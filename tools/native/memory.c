/* Tensors in memory files that judge and hosts map. The judge seals the inputs against any later writable mapping, so that
 * a host can only read them; canaries fill what lies between a tensor and the edge of its pages. */
#include "judge.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static size_t round_line(uint64_t bytes) { return (bytes + KE_LINE - 1) / KE_LINE * KE_LINE; }

void region_create(struct region *r, const struct group *g, bool outputs) {
  memset(r, 0, sizeof *r);
  r->outputs = outputs;
  r->t = calloc(g->tensors + 1, sizeof *r->t);
  if (r->t == NULL) die("out of memory");
  for (uint32_t k = 0; k < g->workloads; k++) {
    const struct workload *w = &g->w[k];
    for (uint32_t i = 0; i < w->tensors; i++) {
      if (w->tensor[i].output != outputs) continue;
      struct ke_tensor *t = &r->t[w->first + i];
      t->offset = r->size;
      t->bytes = w->tensor[i].bytes;
      t->pages = t->bytes == 0 ? 1 : (t->bytes + KE_PAGE - 1) / KE_PAGE;
      t->output = outputs;
      t->scalar = w->tensor[i].scalar;
      r->size += t->pages * KE_PAGE;
    }
  }
  if (r->size == 0) r->size = KE_PAGE;
  r->fd = memfd_create(outputs ? "ke-outputs" : "ke-inputs", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (r->fd < 0 || ftruncate(r->fd, (off_t)r->size) != 0) die("cannot make %zu bytes of shared memory: %m", r->size);
  r->map = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, 0);
  if (r->map == MAP_FAILED) die("cannot map %zu bytes of shared memory: %m", r->size);
  if (fcntl(r->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) die("cannot seal shared memory: %m");
}

void region_seal(struct region *r) {
  if (fcntl(r->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0) die("cannot seal the inputs: %m");
}

void region_destroy(struct region *r) {
  if (r->map == NULL) return;
  munmap(r->map, r->size);
  close(r->fd);
  free(r->t);
  memset(r, 0, sizeof *r);
}

void *region_data(const struct region *r, const struct workload *w, uint32_t i) {
  const struct ke_tensor *t = &r->t[w->first + i];
  return r->map + t->offset + t->pages * KE_PAGE - round_line(t->bytes);
}

/* The slack of a tensor is under a page before it and under a line behind it; both hold a secret pattern by their place in the page. */
static const unsigned char *pattern(void) {
  static unsigned char bytes[KE_PAGE];
  static bool made;
  for (size_t at = 0; !made && at < sizeof bytes; at += 256)
    if (getrandom(bytes + at, 256, 0) != 256) die("no random numbers: %m");
  made = true;
  return bytes;
}

struct slack {
  unsigned char *start, *data, *tail, *end;
};
static struct slack slack_of(const struct region *r, const struct workload *w, uint32_t i) {
  const struct ke_tensor *t = &r->t[w->first + i];
  struct slack s = {.start = r->map + t->offset, .data = region_data(r, w, i)};
  s.end = s.start + t->pages * KE_PAGE;
  s.tail = s.data + t->bytes;
  return s;
}

void region_canary(struct region *r, const struct group *g) {
  for (uint32_t k = 0; k < g->workloads; k++)
    for (uint32_t i = 0; i < g->w[k].tensors; i++) {
      if (g->w[k].tensor[i].output != r->outputs) continue;
      struct slack s = slack_of(r, &g->w[k], i);
      memcpy(s.start, pattern(), (size_t)(s.data - s.start));
      memcpy(s.tail, pattern() + KE_PAGE - (s.end - s.tail), (size_t)(s.end - s.tail));
    }
}

int region_canary_broken(const struct region *r, const struct workload *w) {
  for (uint32_t i = 0; i < w->tensors; i++) {
    if (w->tensor[i].output != r->outputs) continue;
    struct slack s = slack_of(r, w, i);
    if (memcmp(s.start, pattern(), (size_t)(s.data - s.start)) != 0) return (int)i;
    if (memcmp(s.tail, pattern() + KE_PAGE - (s.end - s.tail), (size_t)(s.end - s.tail)) != 0) return (int)i;
  }
  return -1;
}

void poison(void *data, uint64_t bytes, unsigned which) {
  /* A signalling NaN with a payload, and a finite number. */
  static const uint32_t words[] = {0x7fbadbadu, 0x5a5a5a5au};
  const uint32_t value = words[which & 1];
  unsigned char *p = data;
  uint64_t i = 0;
  for (; i + 4 <= bytes; i += 4) memcpy(p + i, &value, 4);
  for (; i < bytes; i++) p[i] = (unsigned char)(value >> (8 * (i & 3)));
}

void region_poison(const struct region *r, const struct workload *w, unsigned which) {
  for (uint32_t i = 0; i < w->tensors; i++)
    if (w->tensor[i].output == r->outputs) poison(region_data(r, w, i), w->tensor[i].bytes, which);
}

#if defined(__x86_64__)
static void flush_lines(const unsigned char *p, const unsigned char *end) {
  for (; p < end; p += KE_LINE) _mm_clflush(p);
}
/* Without the ordering that clflush has: several times faster. */
__attribute__((target("clflushopt"))) static void flush_lines_unordered(const unsigned char *p, const unsigned char *end) {
  for (; p < end; p += KE_LINE) _mm_clflushopt((void *)(uintptr_t)p);
}
static bool has_clflushopt(void) {
  static int known = -1;
  unsigned a, b, c, d;
  if (known < 0) known = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & (1u << 23)) != 0;
  return known == 1;
}
void flush_range(const void *from, size_t bytes) {
  const unsigned char *p = from;
  if (has_clflushopt()) flush_lines_unordered(p, p + bytes);
  else flush_lines(p, p + bytes);
}
void flush_fence(void) { _mm_mfence(); }
#else
void flush_range(const void *from, size_t bytes) {
  (void)from;
  (void)bytes;
  die("cold caches are not implemented on this processor");
}
void flush_fence(void) {}
#endif

/* Out of every cache of every core, by physical line: what the next call reads comes from memory. */
void region_flush(const struct region *r, const struct workload *w) {
  for (uint32_t i = 0; i < w->tensors; i++)
    if (w->tensor[i].output == r->outputs) flush_range(region_data(r, w, i), w->tensor[i].bytes);
  flush_fence();
}
