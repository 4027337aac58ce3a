/* Tensors in memory files that judge and hosts map. The judge seals the inputs against any later writable mapping, so that
 * a host can only read them; canaries fill what lies between a tensor and the edge of its pages. */
#include "judge.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static bool belongs(const struct workload *w, uint32_t i, bool outputs) { return w->tensor[i].output == outputs; }

void region_create(struct region *r, const struct workload *w, bool outputs) {
  memset(r, 0, sizeof *r);
  uint64_t offset = 0;
  for (uint32_t i = 0; i < w->tensors; i++) {
    if (!belongs(w, i, outputs)) continue;
    struct ke_tensor *t = &r->t[i];
    t->offset = offset;
    t->bytes = w->tensor[i].bytes;
    t->pages = (t->bytes + KE_PAGE - 1) / KE_PAGE;
    if (t->pages == 0) t->pages = 1;
    t->output = outputs;
    t->scalar = w->tensor[i].scalar;
    offset += t->pages * KE_PAGE;
  }
  r->size = offset == 0 ? KE_PAGE : offset;
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
  if (r->map != NULL) munmap(r->map, r->size);
  if (r->fd >= 0) close(r->fd);
  memset(r, 0, sizeof *r);
  r->fd = -1;
}

void *region_data(const struct region *r, uint32_t i) {
  const struct ke_tensor *t = &r->t[i];
  return r->map + t->offset + t->pages * KE_PAGE - (t->bytes + KE_LINE - 1) / KE_LINE * KE_LINE;
}

static unsigned char canary_byte(uint64_t key, uint64_t at) { return (unsigned char)(mix64(key + (at >> 3)) >> (8 * (at & 7))); }

void region_canary(struct region *r, const struct workload *w, bool outputs, uint64_t key) {
  for (uint32_t i = 0; i < w->tensors; i++) {
    if (!belongs(w, i, outputs)) continue;
    unsigned char *start = r->map + r->t[i].offset, *end = start + r->t[i].pages * KE_PAGE, *data = region_data(r, i);
    for (unsigned char *p = start; p < data; p++) *p = canary_byte(key + i, (uint64_t)(p - start));
    for (unsigned char *p = data + r->t[i].bytes; p < end; p++) *p = canary_byte(key + i, (uint64_t)(p - start));
  }
}

int region_canary_broken(const struct region *r, const struct workload *w, bool outputs, uint64_t key) {
  for (uint32_t i = 0; i < w->tensors; i++) {
    if (!belongs(w, i, outputs)) continue;
    const unsigned char *start = r->map + r->t[i].offset, *end = start + r->t[i].pages * KE_PAGE, *data = region_data(r, i);
    for (const unsigned char *p = start; p < data; p++)
      if (*p != canary_byte(key + i, (uint64_t)(p - start))) return (int)i;
    for (const unsigned char *p = data + r->t[i].bytes; p < end; p++)
      if (*p != canary_byte(key + i, (uint64_t)(p - start))) return (int)i;
  }
  return -1;
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
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & (1u << 23)) != 0;
}
#endif

/* Out of every cache of every core, by physical line: what the next call reads comes from memory. */
void region_flush(const struct region *r, const struct workload *w, bool outputs) {
#if defined(__x86_64__)
  static int unordered = -1;
  if (unordered < 0) unordered = has_clflushopt();
  for (uint32_t i = 0; i < w->tensors; i++) {
    if (!belongs(w, i, outputs)) continue;
    const unsigned char *p = region_data(r, i), *end = p + r->t[i].bytes;
    if (unordered) flush_lines_unordered(p, end);
    else flush_lines(p, end);
  }
  _mm_mfence();
#else
  (void)r;
  (void)w;
  (void)outputs;
  die("cold caches are not implemented on this processor");
#endif
}
