/* The reference answer, computed in this trusted process from the same inputs in a wider float type. */
#include "judge.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef void entry_fn(void *const *buffers, const int64_t *axes);
static entry_fn *entry;

bool dtype_is_float(enum dtype d) { return d == F32 || d == F64; }
size_t dtype_bytes(enum dtype d) { return d == F64 || d == I64 ? 8 : d == F32 || d == I32 ? 4 : 1; }
const char *dtype_name(enum dtype d) {
  static const char *const names[] = {"float32", "float64", "int32", "int64", "uint8", "bool", "int8"};
  return names[d];
}

void oracle_load(const char *path) {
  void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (object == NULL) die("the oracle does not load: %s", dlerror());
  void *symbol = dlsym(object, "ke_entry");
  if (symbol == NULL) die("the oracle has no ke_entry");
  memcpy(&entry, &symbol, sizeof entry);
}

/* Bytes of one element in the oracle's own type: double for float32, long double for float64. */
static size_t wide_bytes(enum dtype d) { return d == F32 ? sizeof(double) : d == F64 ? sizeof(long double) : dtype_bytes(d); }

static void *allocate(uint64_t bytes) {
  void *p = NULL;
  if (posix_memalign(&p, KE_LINE, bytes == 0 ? KE_LINE : bytes) != 0) die("out of memory for the reference answer");
  return p;
}

void oracle_compute(const struct workload *w, const struct region *inputs, struct answers *out) {
  void *buffers[KE_MAX_TENSORS];
  for (uint32_t i = 0; i < w->tensors; i++) {
    const struct tensor *t = &w->tensor[i];
    if (out->wide[i] == NULL) out->wide[i] = allocate(t->elements * wide_bytes(t->dtype));
    buffers[i] = out->wide[i];
    if (t->output) {
      memset(buffers[i], 0, t->elements * wide_bytes(t->dtype));
      continue;
    }
    const void *data = region_data(inputs, i);
    if (t->dtype == F32)
      for (uint64_t k = 0; k < t->elements; k++) ((double *)buffers[i])[k] = ((const float *)data)[k];
    else if (t->dtype == F64)
      for (uint64_t k = 0; k < t->elements; k++) ((long double *)buffers[i])[k] = ((const double *)data)[k];
    else
      memcpy(buffers[i], data, t->bytes);
  }
  entry(buffers, w->axis);
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
