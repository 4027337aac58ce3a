/* Ends a host with all that it may have started, from outside, whatever signals it ignores. */
#include "judge.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC_RAW, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Kills every process whose parent is `parent`, their children first. Returns how many were found. */
static int kill_children(pid_t parent, int depth) {
  char path[64];
  int found = 0;
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
  FILE *f = fopen(path, "re");
  if (f == NULL) return 0;
  int child;
  while (depth < 32 && fscanf(f, "%d", &child) == 1) {
    found += 1 + kill_children(child, depth + 1);
    kill(child, SIGKILL);
  }
  fclose(f);
  return found;
}

/* pid 0: everything this judge started. The judge is a subreaper, so orphans come back to it and are found too. */
void kill_tree(pid_t pid) {
  if (pid > 0) {
    kill_children(pid, 0);
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
    return;
  }
  for (int round = 0; round < 200; round++) {
    int found = kill_children(getpid(), 0);
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    if (found == 0) return;
    struct timespec pause = {.tv_nsec = 1000000};
    nanosleep(&pause, NULL);
  }
}
