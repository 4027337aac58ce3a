/* Starts hosts, calls them, and measures a call with the judge's own clock. */
#include "judge.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_CAP 65536

static cpu_set_t all_cpus, host_cpus;
static bool pinned;

static void futex_wake(_Atomic uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0); }
static void futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t ns) {
  struct timespec limit = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
  syscall(SYS_futex, word, FUTEX_WAIT, value, &limit, NULL, 0);
}

/* A private copy of the object in memory: no path of the machine is needed or visible where it is loaded. */
static int object_fd(const char *path) {
  int in = open(path, O_RDONLY | O_CLOEXEC), out = memfd_create("ke-object", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (in < 0 || out < 0) die("cannot open %s: %m", path);
  char buffer[65536];
  ssize_t n;
  while ((n = read(in, buffer, sizeof buffer)) > 0)
    if (write(out, buffer, (size_t)n) != n) die("cannot copy %s: %m", path);
  close(in);
  fcntl(out, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  return out;
}

/* One processor for the judge, the others for the hosts: sharing one, they would wait for each other's turn. */
void pin_judge(const struct job *job) {
  if (sched_getaffinity(0, sizeof all_cpus, &all_cpus) != 0 || CPU_COUNT(&all_cpus) < 2 || job->threads > 1) return;
  int last = CPU_SETSIZE - 1;
  while (!CPU_ISSET(last, &all_cpus)) last--;
  host_cpus = all_cpus;
  CPU_CLR(last, &host_cpus);
  cpu_set_t own;
  CPU_ZERO(&own);
  CPU_SET(last, &own);
  pinned = sched_setaffinity(0, sizeof own, &own) == 0;
}

static void child(const struct job *job, const int *fds, int out) {
  setsid();
  if (pinned) sched_setaffinity(0, sizeof host_cpus, &host_cpus);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (uint32_t i = 0; i < job->cgroups; i++) {
    int fd = open(job->cgroup[i], O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
      if (write(fd, "0", 1) != 1) _exit(121);
      close(fd);
    } else
      _exit(121);
  }
  int high[4];
  for (int i = 0; i < 4; i++) high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 40);
  int text = fcntl(out, F_DUPFD_CLOEXEC, 40), null = open("/dev/null", O_RDONLY);
  dup2(null, 0);
  dup2(text, 1);
  dup2(text, 2);
  for (int i = 0; i < 4; i++) dup2(high[i], KE_FD_CONTROL + i);
  char threads[32];
  snprintf(threads, sizeof threads, "OMP_NUM_THREADS=%u", job->threads == 0 ? 1 : job->threads);
  char *const env[] = {"PATH=/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8", "OMP_WAIT_POLICY=passive", "OMP_DYNAMIC=false", threads, NULL};
  if (job->sandbox == NULL) {
    char *const argv[] = {"ke-host", NULL};
    if (chdir("/") != 0) _exit(121);
    execve(job->host, argv, env);
  } else
    execve(job->sandbox[0], job->sandbox, env);
  _exit(122);
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

void host_drain(struct host *h) {
  char buffer[16384];
  ssize_t n;
  while (h->out_fd >= 0 && (n = read(h->out_fd, buffer, sizeof buffer)) > 0) {
    size_t room = TEXT_CAP - h->text_len, take = (size_t)n < room ? (size_t)n : room;
    memcpy(h->text + h->text_len, buffer, take);
    h->text_len += take;
    h->text_total += (size_t)n;
  }
}

bool host_start(struct host *h, const struct job *job, const struct workload *w, const struct region *inputs, const char *object, enum role role,
                const char *name) {
  memset(h, 0, sizeof *h);
  h->role = role;
  h->name = name;
  region_create(&h->outputs, w, true);
  size_t size = (sizeof *h->control + KE_PAGE - 1) / KE_PAGE * KE_PAGE;
  h->control_fd = memfd_create("ke-control", MFD_CLOEXEC);
  if (h->control_fd < 0 || ftruncate(h->control_fd, (off_t)size) != 0) die("no memory for the control page: %m");
  h->control = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, h->control_fd, 0);
  h->text = malloc(TEXT_CAP);
  if (h->control == MAP_FAILED || h->text == NULL) die("out of memory");
  struct ke_control *c = h->control;
  c->magic = KE_MAGIC;
  c->tensors = w->tensors;
  c->axes = w->axes;
  memcpy(c->axis, w->axis, sizeof c->axis);
  uint64_t mapped = 0;
  for (uint32_t i = 0; i < w->tensors; i++) {
    c->tensor[i] = w->tensor[i].output ? h->outputs.t[i] : inputs->t[i];
    mapped += c->tensor[i].pages * KE_PAGE;
  }
  c->limit_as = job->limit_as + mapped;
  c->limit_cpu = job->limit_cpu;
  c->limit_fsize = job->limit_fsize;
  c->limit_nproc = 64;
  c->uid = job->uid;
  int object_file = object_fd(object), ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) die("no pipe: %m");
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  const int fds[4] = {h->control_fd, inputs->fd, h->outputs.fd, object_file};
  fflush(stdout);
  h->pid = fork();
  if (h->pid < 0) die("cannot start a host: %m");
  if (h->pid == 0) child(job, fds, ends[1]);
  close(ends[1]);
  close(object_file);
  h->out_fd = ends[0];
  return true;
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
  if (job->sandbox != NULL)
    for (pid_t next; (next = first_child(h->inner)) > 0;) h->inner = next;
  if (geteuid() == 0) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/autogroup", (int)h->inner);
    FILE *f = fopen(path, "we");
    if (f != NULL) {
      fputs("-10", f);
      fclose(f);
    }
  }
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

enum outcome host_call(struct host *h, const struct job *job, bool spin, bool touch, uint64_t *judge_ns, uint64_t *host_ns) {
  if (h->sequence == 0 && !host_ready(h, job)) {
    host_drain(h);
    return h->timed_out ? CALL_TIMEOUT : CALL_FAILED;
  }
  struct ke_control *c = h->control;
  uint64_t deadline = now_ns() + (uint64_t)(job->call_seconds * 1e9);
  uint32_t sequence = ++h->sequence;
  kill(h->inner, SIGCONT);
  c->op = touch ? KE_OP_TOUCH_AND_CALL : KE_OP_CALL;
  c->spin = spin;
  atomic_store_explicit(&c->command, sequence, memory_order_release);
  futex_wake(&c->command);
  bool ok = wait_word(h, &c->armed, sequence, spin, deadline);
  if (ok) {
    uint64_t start = now_ns();
    atomic_store_explicit(&c->go, sequence, memory_order_release);
    ok = wait_word(h, &c->done, sequence, spin, deadline);
    *judge_ns = now_ns() - start;
  }
  /* Out of its turn a host does not run: nothing can be finished late, and nothing can slow the others. */
  if (!h->dead) kill(h->inner, SIGSTOP);
  *host_ns = c->host_ns;
  host_drain(h);
  if (ok) return CALL_OK;
  if (h->dead) return CALL_DIED;
  h->timed_out = true;
  return CALL_TIMEOUT;
}

void host_stop(struct host *h) {
  if (h->pid <= 0) return;
  if (!h->dead) {
    kill_tree(h->pid);
    waitpid(h->pid, &h->status, 0);
    h->dead = true;
  }
  host_drain(h);
}

void host_free(struct host *h) {
  if (h->pid <= 0) return;
  host_stop(h);
  region_destroy(&h->outputs);
  munmap(h->control, (sizeof *h->control + KE_PAGE - 1) / KE_PAGE * KE_PAGE);
  close(h->control_fd);
  close(h->out_fd);
  free(h->text);
  memset(h, 0, sizeof *h);
}
