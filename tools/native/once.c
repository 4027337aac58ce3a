/* ke-once: loads an object in this very process, fills inputs from a seed and calls it, for profilers that watch a process.
 * No oracle, no verdict: run it in the sandbox. usage: ke-once JOB OBJECT CALLS */
#include "judge.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef void entry_fn(void *const *buffers, const int64_t *axes);

bool dtype_is_float(enum dtype d) { return d == F32 || d == F64; }
size_t dtype_bytes(enum dtype d) { return d == F64 || d == I64 ? 8 : d == F32 || d == I32 ? 4 : 1; }
void kill_tree(pid_t pid) { (void)pid; }

/* What the profiler is told to watch. */
__attribute__((noinline, visibility("default"))) void ke_region_of_interest(entry_fn *entry, void *const *buffers, const int64_t *axes) {
  entry(buffers, axes);
  __asm__ volatile("" ::: "memory");
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: ke-once JOB OBJECT CALLS\n");
    return 2;
  }
  FILE *in = fopen(argv[1], "re");
  if (in == NULL) die("cannot open the job %s", argv[1]);
  struct job *job = job_read(in);
  fclose(in);
  struct group g = job_group(job, 0);
  struct workload *w = g.w;
  struct region inputs, outputs;
  region_create(&inputs, &g, false);
  region_create(&outputs, &g, true);
  generate_inputs(&inputs, w, job->seed, NULL);
  void *buffers[KE_MAX_TENSORS];
  for (uint32_t i = 0; i < w->tensors; i++) buffers[i] = region_data(w->tensor[i].output ? &outputs : &inputs, w, i);
  void *object = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
  if (object == NULL) die("the object does not load: %s", dlerror());
  void *symbol = dlsym(object, "ke_entry");
  entry_fn *entry;
  memcpy(&entry, &symbol, sizeof entry);
  if (entry == NULL) die("no ke_entry");
  for (long calls = strtol(argv[3], NULL, 10); calls > 0; calls--) ke_region_of_interest(entry, buffers, w->axis);
  return 0;
}
