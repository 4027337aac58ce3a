#include "judge.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* Timing is exclusive on the machine: the kernel releases the lock however its holder ends. */
static void take_device(const struct job *job) {
  int fd = open(job->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) die("cannot open the device lock %s: %s", job->lock, strerror(errno));
  bool told = false;
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (!told) {
      out_begin("waiting");
      out_end();
      told = true;
    }
    struct timespec pause = {.tv_nsec = 20000000};
    nanosleep(&pause, NULL);
  }
  out_begin("device");
  out_end();
}

static void on_end(int signal) {
  (void)signal;
  kill_tree(0);
  _exit(4);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: ke-judge JOB\nJudges one kernel as the job file says; started by kernelevolve, see tools/native/README.md.\n");
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  signal(SIGTERM, on_end);
  signal(SIGINT, on_end);
  signal(SIGHUP, on_end);
  signal(SIGPIPE, SIG_IGN);
  FILE *in = fopen(argv[1], "re");
  if (in == NULL) die("cannot open the job %s: %s", argv[1], strerror(errno));
  struct job *job = job_read(in);
  fclose(in);
  if (job->seed == 0) job->seed = secret();
  bool raised = raise_priority(getpid());
  if (job->mode == MODE_BENCHMARK) {
    take_device(job);
    cpus_init(job);
  }
  for (uint32_t i = 0; i < job->workloads;) {
    struct group g = job_group(job, i);
    oracle_start(job, &g);
    if (job->mode == MODE_VERIFY) verify_group(job, &g);
    else if (job->mode == MODE_GRADE) grade_group(job, &g);
    else benchmark_group(job, &g);
    i += g.workloads;
  }
  oracle_stop();
  kill_tree(0);
  out_begin("end");
  char seed[24];
  snprintf(seed, sizeof seed, "%016llx", (unsigned long long)job->seed);
  out_str("seed", seed);
  out_str("priority", raised ? "raised" : "normal");
  out_end();
  return 0;
}
