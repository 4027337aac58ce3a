/* ke-host: loads one shared object and calls its ke_entry when the judge says so. Everything after dlopen is untrusted:
 * this process knows no reference answer, no tolerance, no seed and no verdict. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "confine.h"
#include "protocol.h"

typedef void entry_fn(void *const *buffers, const int64_t *axes);

static struct ke_control *control;
static const struct ke_plan *plan;
static const struct ke_shape *shapes;
static const struct ke_tensor *tensors;
static const int64_t *axes;
static unsigned char **base; /* first byte of each tensor's pages */
static void **buffers;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC_RAW, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Names the place of a fault by the tensors of all workloads; the guard pages between them belong to none. */
static void classify(uintptr_t address) {
  control->fault_where = address < KE_PAGE ? KE_AT_NULL : KE_AT_OTHER;
  for (uint32_t i = 0; i < plan->tensors; i++) {
    const struct ke_tensor *t = &tensors[i];
    uintptr_t start = (uintptr_t)base[i], end = start + t->pages * KE_PAGE;
    uint32_t where = KE_AT_OTHER;
    if (address >= start && address < end) where = t->output ? KE_AT_OUTPUT : KE_AT_INPUT;
    else if (address >= end && address < end + KE_PAGE) where = KE_AT_AFTER;
    else if (address < start && address >= start - KE_PAGE) where = KE_AT_BEFORE;
    if (where != KE_AT_OTHER) {
      const struct ke_shape *s = &shapes[control->shape < plan->shapes ? control->shape : 0];
      control->fault_where = where;
      control->fault_tensor = i - s->first_tensor;
      return;
    }
  }
  /* A null pointer from malloc was written to, most likely, when not even a quarter of a gigabyte is left. */
  void *probe = mmap(NULL, 1 << 28, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (probe == MAP_FAILED) control->fault_where = KE_AT_EXHAUSTED;
}

static void on_fault(int signal, siginfo_t *info, void *context) {
  (void)context;
  control->fault_signal = (uint32_t)signal;
  if (signal == SIGSYS) control->fault_syscall = (uint32_t)info->si_syscall;
  else classify((uintptr_t)info->si_addr);
  _exit(120);
}

static void install_handlers(void) {
  static unsigned char stack[64 * 1024];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  const int caught[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
  for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) sigaction(caught[i], &action, NULL);
}

/* A private copy of the plan, checked against its own size. */
static int read_plan(void) {
  struct stat s;
  if (fstat(KE_FD_PLAN, &s) != 0 || s.st_size < (off_t)sizeof *plan) return -1;
  unsigned char *copy = malloc((size_t)s.st_size);
  if (copy == NULL || pread(KE_FD_PLAN, copy, (size_t)s.st_size, 0) != s.st_size) return -1;
  plan = (const struct ke_plan *)copy;
  shapes = (const struct ke_shape *)(copy + sizeof *plan);
  tensors = (const struct ke_tensor *)(shapes + plan->shapes);
  axes = (const int64_t *)(tensors + plan->tensors);
  if (plan->magic != KE_MAGIC || (const unsigned char *)(axes + plan->axes) != copy + s.st_size) return -1;
  base = calloc(plan->tensors + 1, sizeof *base);
  buffers = calloc(plan->tensors + 1, sizeof *buffers);
  return base == NULL || buffers == NULL ? -1 : 0;
}

/* Each tensor's pages between two guard pages; inputs can only be read. */
static int map_tensors(void) {
  for (uint32_t i = 0; i < plan->tensors; i++) {
    const struct ke_tensor *t = &tensors[i];
    size_t size = t->pages * KE_PAGE;
    unsigned char *area = mmap(NULL, size + 2 * KE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) return -1;
    void *data = mmap(area + KE_PAGE, size, t->output ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
                      t->output ? KE_FD_OUTPUTS : KE_FD_INPUTS, (off_t)t->offset);
    if (data == MAP_FAILED) return -1;
    base[i] = data;
    buffers[i] = (unsigned char *)data + size - (t->bytes + KE_LINE - 1) / KE_LINE * KE_LINE;
  }
  return 0;
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value) { syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0); }
static void futex_wake(_Atomic uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0); }

static volatile unsigned char sink;
static void touch(const struct ke_shape *s) {
  for (uint32_t i = s->first_tensor; i < s->first_tensor + s->tensors; i++) {
    const unsigned char *p = buffers[i];
    for (size_t at = 0; at < tensors[i].bytes; at += KE_LINE) sink ^= p[at];
  }
}

static void serve(entry_fn *entry) {
  uint32_t seen = 0;
  for (;;) {
    uint32_t command;
    while ((command = atomic_load_explicit(&control->command, memory_order_acquire)) == seen) futex_wait(&control->command, seen);
    seen = command;
    if (control->shape >= plan->shapes) _exit(5);
    const struct ke_shape *s = &shapes[control->shape];
    if (control->op == KE_OP_TOUCH_AND_CALL) touch(s);
    int spin = (int)control->spin;
    atomic_store_explicit(&control->armed, command, memory_order_release);
    if (!spin) futex_wake(&control->armed);
    while (atomic_load_explicit(&control->go, memory_order_acquire) != command) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    uint64_t start = now_ns();
    entry(buffers + s->first_tensor, axes + s->first_axis);
    control->host_ns = now_ns() - start;
    atomic_store_explicit(&control->done, command, memory_order_release);
    if (!spin) futex_wake(&control->done);
  }
}

static int setup_failed(const char *what) {
  fprintf(stderr, "ke-host: cannot %s\n", what);
  atomic_store(&control->state, KE_STATE_SETUP_FAILED);
  return 3;
}

int main(void) {
  control = mmap(NULL, (sizeof *control + KE_PAGE - 1) / KE_PAGE * KE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, KE_FD_CONTROL, 0);
  if (control == MAP_FAILED || read_plan() != 0) {
    fprintf(stderr, "ke-host: this program is started by ke-judge and has no use of its own\n");
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setvbuf(stdout, NULL, _IOLBF, 4096);
  if (map_tensors() != 0) return setup_failed("map the tensors");
  install_handlers();
  if (plan->cpu >= 0) {
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(plan->cpu, &own);
    if (sched_setaffinity(0, sizeof own, &own) != 0) return setup_failed("keep to its processor");
  }
  uint32_t bits = 0;
  if (ke_confine(plan, &bits) != 0) return setup_failed("confine itself");
  control->confinement = bits;
  /* The user id change clears it. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  /* Constructors run inside dlopen: what they must not reach is closed before. */
  close(KE_FD_INPUTS);
  close(KE_FD_OUTPUTS);
  close(KE_FD_CONTROL);
  close(KE_FD_PLAN);
  atomic_store(&control->state, KE_STATE_CONFINED);
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", KE_FD_OBJECT);
  void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  entry_fn *entry = NULL;
  if (object != NULL) {
    void *symbol = dlsym(object, "ke_entry");
    memcpy(&entry, &symbol, sizeof entry);
  }
  if (entry == NULL) {
    const char *why = dlerror();
    snprintf(control->load_error, sizeof control->load_error, "%s", why == NULL ? "no ke_entry" : why);
    atomic_store(&control->state, KE_STATE_LOAD_FAILED);
    return 4;
  }
  close(KE_FD_OBJECT);
  atomic_store_explicit(&control->state, KE_STATE_READY, memory_order_release);
  futex_wake(&control->state);
  serve(entry);
}
