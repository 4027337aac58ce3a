/* Which processor the judge keeps for itself, and on which the hosts of one-threaded kernels run, one at a time. On one
 * processor a kernel's second thread could only take time from its first, so none can work ahead unseen. */
#include "judge.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static cpu_set_t others;
static bool bound;

/* Processors that share a core with `cpu` slow each other; out of the list when others remain. */
static void drop_siblings(int cpu) {
  char path[96], text[256] = "";
  snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
  FILE *f = fopen(path, "re");
  if (f == NULL) return;
  bool read = fgets(text, sizeof text, f) != NULL;
  fclose(f);
  if (!read) return;
  cpu_set_t rest = others;
  for (char *p = text; *p >= '0' && *p <= '9';) {
    long low = strtol(p, &p, 10), high = *p == '-' ? strtol(p + 1, &p, 10) : low;
    for (long i = low; i <= high && i < CPU_SETSIZE; i++) CPU_CLR(i, &rest);
    if (*p == ',') p++;
  }
  if (CPU_COUNT(&rest) > 0) others = rest;
}

void cpus_init(const struct job *job) {
  if (sched_getaffinity(0, sizeof others, &others) != 0 || CPU_COUNT(&others) < 2 || job->threads > 1) return;
  int last = CPU_SETSIZE - 1;
  while (!CPU_ISSET(last, &others)) last--;
  cpu_set_t own;
  CPU_ZERO(&own);
  CPU_SET(last, &own);
  CPU_CLR(last, &others);
  drop_siblings(last);
  bound = sched_setaffinity(0, sizeof own, &own) == 0;
}

int32_t cpus_choose(void) {
  if (!bound) return -1;
  uint64_t skip = secret() % (uint64_t)CPU_COUNT(&others);
  for (int i = 0; i < CPU_SETSIZE; i++)
    if (CPU_ISSET(i, &others) && skip-- == 0) return i;
  return -1;
}

/* Nice values weigh only within a session's group; the group's own weight is what counts against other work. */
bool raise_priority(pid_t pid) {
  bool raised = setpriority(PRIO_PROCESS, (id_t)pid, -15) == 0;
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/autogroup", (int)pid);
  FILE *group = geteuid() == 0 ? fopen(path, "we") : NULL;
  if (group != NULL) {
    fputs("-15", group);
    fclose(group);
  }
  return raised;
}
