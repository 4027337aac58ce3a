/* Starts hosts and ends them; calls are in call.c. */
#include "judge.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Address space of one more thread: its stack and its allocator's reserve. */
#define THREAD_ADDRESSES ((uint64_t)192 << 20)
#define CONTROL_BYTES ((sizeof(struct ke_control) + KE_PAGE - 1) / KE_PAGE * KE_PAGE)

static void write_all(int fd, const void *data, size_t bytes) {
  for (const char *p = data; bytes > 0;) {
    ssize_t n = write(fd, p, bytes);
    if (n <= 0) die("cannot fill shared memory: %m");
    p += n;
    bytes -= (size_t)n;
  }
}

static int sealed(int fd) {
  if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) die("cannot seal shared memory: %m");
  return fd;
}

/* A private copy of the object in memory: no path of the machine is needed or visible where it is loaded. */
static int object_fd(const char *path) {
  int in = open(path, O_RDONLY | O_CLOEXEC), out = memfd_create("ke-object", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (in < 0 || out < 0) die("cannot open %s: %m", path);
  char buffer[65536];
  ssize_t n;
  while ((n = read(in, buffer, sizeof buffer)) > 0) write_all(out, buffer, (size_t)n);
  if (n < 0) die("cannot read %s: %m", path);
  close(in);
  return sealed(out);
}

/* Kinds of host have users of their own, so that none can reach into another's process. */
static uint32_t uid_of(const struct job *job, enum role role) {
  return job->uid == 0 || role == ROLE_CANDIDATE ? job->uid : job->uid + 10000;
}

static int plan_fd(const struct job *job, const struct group *g, const struct region *inputs, const struct region *outputs, enum role role, int32_t cpu) {
  int out = memfd_create("ke-plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (out < 0) die("no memory for the plan: %m");
  struct ke_plan plan = {.magic = KE_MAGIC,
                         .shapes = g->workloads,
                         .tensors = g->tensors,
                         .axes = g->axes,
                         .limit_as = job->limit_as + inputs->size + outputs->size + (uint64_t)job->threads * THREAD_ADDRESSES,
                         .limit_cpu = job->limit_cpu,
                         .limit_fsize = job->limit_fsize,
                         .limit_nproc = 64 + (uint64_t)job->threads * 2 * MAX_HOSTS,
                         .uid = uid_of(job, role),
                         .cpu = cpu};
  write_all(out, &plan, sizeof plan);
  uint32_t axes = 0;
  for (uint32_t k = 0; k < g->workloads; k++) {
    struct ke_shape s = {.first_tensor = g->w[k].first, .tensors = g->w[k].tensors, .first_axis = axes, .axes = g->w[k].axes};
    axes += s.axes;
    write_all(out, &s, sizeof s);
  }
  for (uint32_t k = 0; k < g->workloads; k++)
    for (uint32_t i = 0; i < g->w[k].tensors; i++) {
      const struct region *r = g->w[k].tensor[i].output ? outputs : inputs;
      write_all(out, &r->t[g->w[k].first + i], sizeof *r->t);
    }
  for (uint32_t k = 0; k < g->workloads; k++) write_all(out, g->w[k].axis, g->w[k].axes * sizeof *g->w[k].axis);
  return sealed(out);
}

static void child(const struct job *job, const int *fds, int text) {
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (uint32_t i = 0; i < job->cgroups; i++) {
    int fd = open(job->cgroup[i], O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) _exit(121);
    close(fd);
  }
  int high[KE_FDS], out = fcntl(text, F_DUPFD_CLOEXEC, 40), null = open("/dev/null", O_RDONLY);
  for (int i = 0; i < KE_FDS; i++) high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 40);
  dup2(null, 0);
  dup2(out, 1);
  dup2(out, 2);
  for (int i = 0; i < KE_FDS; i++) dup2(high[i], KE_FD_CONTROL + i);
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

void host_start(struct host *h, const struct job *job, const struct group *g, const struct region *inputs, const char *object, enum role role,
                const char *name, int32_t cpu) {
  memset(h, 0, sizeof *h);
  h->role = role;
  h->name = name;
  region_create(&h->outputs, g, true);
  region_canary(&h->outputs, g);
  h->control_fd = memfd_create("ke-control", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (h->control_fd < 0 || ftruncate(h->control_fd, (off_t)CONTROL_BYTES) != 0) die("no memory for the control page: %m");
  /* Shrunk under the judge, it would be a fault there. */
  if (fcntl(h->control_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) die("cannot seal shared memory: %m");
  h->control = mmap(NULL, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, h->control_fd, 0);
  h->text = malloc(TEXT_CAP);
  if (h->control == MAP_FAILED || h->text == NULL) die("out of memory");
  int ends[2], plan = plan_fd(job, g, inputs, &h->outputs, role, cpu), copy = object_fd(object);
  if (pipe2(ends, O_CLOEXEC) != 0) die("no pipe: %m");
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  const int fds[KE_FDS] = {h->control_fd, inputs->fd, h->outputs.fd, copy, plan};
  fflush(stdout);
  h->pid = fork();
  if (h->pid < 0) die("cannot start a host: %m");
  if (h->pid == 0) child(job, fds, ends[1]);
  close(ends[1]);
  close(copy);
  close(plan);
  h->out_fd = ends[0];
}

void host_drain(struct host *h) {
  char buffer[16384];
  ssize_t n;
  while (h->out_fd >= 0 && (n = read(h->out_fd, buffer, sizeof buffer)) > 0) {
    size_t room = TEXT_CAP - h->text_len, keep = (size_t)n < room ? (size_t)n : room;
    memcpy(h->text + h->text_len, buffer, keep);
    h->text_len += keep;
    h->text_total += (size_t)n;
  }
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
  munmap(h->control, CONTROL_BYTES);
  close(h->control_fd);
  close(h->out_fd);
  free(h->text);
  memset(h, 0, sizeof *h);
}

void host_take(const struct host *h, const struct workload *w, struct copies *into) {
  for (uint32_t i = 0; i < w->tensors; i++)
    if (w->tensor[i].output) memcpy(into->data[i], region_data(&h->outputs, w, i), w->tensor[i].bytes);
}
