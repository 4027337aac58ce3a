/* One call of a host, measured with the judge's own clock. */
#include "judge.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void futex_wake(_Atomic uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0); }
static void futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t ns) {
  struct timespec limit = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
  syscall(SYS_futex, word, FUTEX_WAIT, value, &limit, NULL, 0);
}

static pid_t first_child(pid_t pid) {
  char path[64];
  int value = 0;
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
  FILE *f = fopen(path, "re");
  if (f == NULL) return 0;
  if (fscanf(f, "%d", &value) != 1) value = 0;
  fclose(f);
  return value;
}

static void host_reap(struct host *h) {
  if (!h->dead && waitpid(h->pid, &h->status, WNOHANG) == h->pid) h->dead = true;
}

/* Waits until the host has loaded its object. */
static bool host_ready(struct host *h, const struct job *job) {
  uint64_t limit = now_ns() + (uint64_t)(job->call_seconds * 1e9);
  for (;;) {
    uint32_t state = atomic_load(&h->control->state);
    if (state == KE_STATE_READY) break;
    host_drain(h);
    host_reap(h);
    if (h->dead) return false;
    if (now_ns() > limit) {
      h->timed_out = true;
      return false;
    }
    futex_wait(&h->control->state, state, 2000000);
  }
  h->inner = h->pid;
  if (job->sandbox != NULL) {
    /* The sandbox's own processes wake at every stop and start of the host; only when nothing else runs, please. */
    const struct sched_param none = {0};
    for (pid_t next; (next = first_child(h->inner)) > 0; h->inner = next) sched_setscheduler(h->inner, SCHED_IDLE, &none);
    host_reap(h);
    if (h->dead) return false;
    /* It must be stopped between its calls, and stopping the sandbox's own process stops nothing. */
    if (h->inner == h->pid) die("cannot find the host inside its sandbox");
  }
  raise_priority(h->inner);
  return true;
}

static bool wait_word(struct host *h, _Atomic uint32_t *word, uint32_t value, bool spin, uint64_t deadline) {
  for (unsigned turn = 0;; turn++) {
    uint32_t seen = atomic_load_explicit(word, memory_order_acquire);
    if (seen == value) return true;
    if (spin && turn < 20000000u) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
      if ((turn & 0xffff) != 0xffff) continue;
    } else
      futex_wait(word, seen, 1000000);
    host_drain(h);
    host_reap(h);
    if (h->dead) return atomic_load_explicit(word, memory_order_acquire) == value;
    if (now_ns() > deadline) return false;
  }
}

/* A few secret places of the outputs, as they are the moment the host says done. */
static void look(const struct host *h, struct call *c) {
  uint64_t key = c->probe;
  c->probes = 0;
  if (key == 0) return;
  for (uint32_t i = 0; i < c->w->tensors && c->probes < PROBE_LINES; i++) {
    const struct tensor *t = &c->w->tensor[i];
    if (!t->output || t->bytes == 0) continue;
    const unsigned char *data = region_data(&h->outputs, c->w, i);
    uint64_t lines = (t->bytes + KE_LINE - 1) / KE_LINE;
    for (uint32_t n = 0; n < 8 && n < lines && c->probes < PROBE_LINES; n++) {
      uint64_t at = (lines <= 8 ? n : mix64(key + c->probes) % lines) * KE_LINE;
      uint32_t bytes = (uint32_t)(t->bytes - at < KE_LINE ? t->bytes - at : KE_LINE);
      c->seen[c->probes].tensor = i;
      c->seen[c->probes].at = at;
      c->seen[c->probes].bytes = bytes;
      memcpy(c->seen[c->probes].seen, data + at, bytes);
      c->probes++;
    }
  }
}

int probe_changed(const struct call *c, const struct copies *taken) {
  for (uint32_t n = 0; n < c->probes; n++)
    if (memcmp(c->seen[n].seen, (const unsigned char *)taken->data[c->seen[n].tensor] + c->seen[n].at, c->seen[n].bytes) != 0) return (int)c->seen[n].tensor;
  return -1;
}

static long switches(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return use.ru_nivcsw;
}

enum outcome host_call(struct host *h, const struct job *job, struct call *call) {
  if (h->sequence == 0 && !host_ready(h, job)) {
    host_drain(h);
    return h->timed_out ? CALL_TIMEOUT : CALL_FAILED;
  }
  struct ke_control *c = h->control;
  uint64_t deadline = now_ns() + (uint64_t)(job->call_seconds * 1e9);
  uint32_t sequence = ++h->sequence;
  kill(h->inner, SIGCONT);
  c->op = call->touch ? KE_OP_TOUCH_AND_CALL : KE_OP_CALL;
  c->shape = call->w->index;
  c->spin = call->spin;
  uint64_t start = now_ns();
  atomic_store_explicit(&c->command, sequence, memory_order_release);
  futex_wake(&c->command);
  bool ok = wait_word(h, &c->armed, sequence, call->spin, deadline);
  call->arm_ns = now_ns() - start;
  if (ok) {
    if (call->late != NULL) late_final(call->late, call->flush);
    long before = switches();
    start = now_ns();
    atomic_store_explicit(&c->go, sequence, memory_order_release);
    ok = wait_word(h, &c->done, sequence, call->spin, deadline);
    call->judge_ns = now_ns() - start;
    look(h, call);
    call->disturbed = switches() != before;
  }
  /* Out of its turn a host does not run: nothing can be finished late, and nothing can slow the others. */
  if (!h->dead) kill(h->inner, SIGSTOP);
  call->host_ns = c->host_ns;
  host_drain(h);
  if (ok) return CALL_OK;
  if (h->dead) return CALL_DIED;
  h->timed_out = true;
  return CALL_TIMEOUT;
}
