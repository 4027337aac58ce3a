/* A host that knew the contents before its clock starts could compute before its clock starts. So lines of the free inputs (all
 * of them where the inputs are small) hold other plausible contents until the host stands ready, and get their own only then. */
#include "judge.h"

#include <string.h>

#include "fill.h"

static uint64_t lines_of(const struct tensor *t) { return (t->bytes + KE_LINE - 1) / KE_LINE; }

void late_choose(struct late *l, const struct region *inputs, const struct workload *w, uint64_t key) {
  uint64_t total = 0;
  l->lines = 0;
  for (uint32_t i = 0; i < w->tensors; i++)
    if (fill_is_free(&w->tensor[i])) total += lines_of(&w->tensor[i]);
  const bool all = total <= LATE_LINES;
  for (uint64_t n = 0; n < (all ? total : LATE_LINES); n++) {
    /* Lines counted through all free tensors; drawn with repetition when there are too many to take all. */
    uint64_t number = all ? n : mix64(key + n) % total;
    uint32_t i = 0;
    for (;; i++) {
      if (!fill_is_free(&w->tensor[i])) continue;
      if (number < lines_of(&w->tensor[i])) break;
      number -= lines_of(&w->tensor[i]);
    }
    const struct tensor *t = &w->tensor[i];
    size_t size = dtype_bytes(t->dtype), each = KE_LINE / size;
    uint64_t from = number * each, to = from + each < t->elements ? from + each : t->elements;
    unsigned char *at = (unsigned char *)region_data(inputs, w, i) + number * KE_LINE;
    l->line[n].at = at;
    l->line[n].bytes = (uint32_t)((to - from) * size);
    memcpy(l->line[n].final, at, l->line[n].bytes);
    fill_range(l->line[n].decoy, t, tensor_key(key, i), from, to);
    l->lines++;
  }
}

void late_decoy(const struct late *l) {
  for (uint32_t n = 0; n < l->lines; n++) memcpy(l->line[n].at, l->line[n].decoy, l->line[n].bytes);
}

void late_final(const struct late *l, bool flush) {
  for (uint32_t n = 0; n < l->lines; n++) memcpy(l->line[n].at, l->line[n].final, l->line[n].bytes);
  if (!flush) return;
  for (uint32_t n = 0; n < l->lines; n++) flush_range(l->line[n].at, l->line[n].bytes);
  flush_fence();
}
