/* A host confines itself: resource limits, user id, no new privileges, Landlock (where the kernel has it) and a
 * system-call filter. bubblewrap's namespaces come on top; this part also holds where bubblewrap is absent. */
#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
#define KE_LANDLOCK 1
#endif

static int limit(int resource, uint64_t value, const char *name) {
  /* Processor time ends with a signal that names the reason, a second before the one that does not. */
  struct rlimit r = {value, resource == RLIMIT_CPU ? value + 1 : value};
  struct rlimit old;
  if (getrlimit(resource, &old) == 0 && old.rlim_max != RLIM_INFINITY && old.rlim_max < value) r.rlim_cur = r.rlim_max = old.rlim_max;
  if (setrlimit(resource, &r) == 0) return 0;
  fprintf(stderr, "ke-host: cannot limit %s: %s\n", name, strerror(errno));
  return -1;
}

static int drop_user(uint32_t uid) {
  if (uid == 0) return 0;
  if (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0) {
    fprintf(stderr, "ke-host: cannot become user %u: %s\n", uid, strerror(errno));
    return -1;
  }
  return 0;
}

#ifdef KE_LANDLOCK
static void allow_read(int ruleset, const char *path) {
  int fd = open(path, O_PATH | O_CLOEXEC);
  if (fd < 0) return;
  struct landlock_path_beneath_attr rule = {
      .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE, .parent_fd = fd};
  syscall(__NR_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  close(fd);
}

/* Files: read the system's libraries and this process's own /proc entry, nothing else; write nowhere. */
static int landlock(void) {
  struct landlock_ruleset_attr attr = {
      .handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
                           LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                           LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                           LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                           LANDLOCK_ACCESS_FS_MAKE_SYM};
  int ruleset = (int)syscall(__NR_landlock_create_ruleset, &attr, sizeof attr, 0);
  if (ruleset < 0) return 0;
  static const char *const readable[] = {"/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", "/proc/self", "/proc/cpuinfo",
                                         "/proc/meminfo", "/proc/stat", "/sys/devices/system", "/sys/fs/cgroup", "/dev/null", "/dev/urandom"};
  for (size_t i = 0; i < sizeof readable / sizeof *readable; i++) allow_read(ruleset, readable[i]);
  int ok = syscall(__NR_landlock_restrict_self, ruleset, 0) == 0;
  close(ruleset);
  return ok;
}
#else
static int landlock(void) { return 0; }
#endif

#define DENY(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)
#define REFUSE(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))

/* A kernel computes: it starts threads and maps memory. Processes, sockets, tracing, mounts and the like are refused by a
 * trap, so that the reason can be named. clone3 answers ENOSYS, because its flags cannot be read here and libc then uses clone. */
static int filter_calls(void) {
#if !defined(__x86_64__)
  return 0;
#else
  struct sock_filter code[] = {
      LOAD(arch),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      LOAD(nr),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1), /* x32 */
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      DENY(__NR_fork), DENY(__NR_vfork), DENY(__NR_execve), DENY(__NR_execveat), DENY(__NR_socket), DENY(__NR_socketpair),
      DENY(__NR_ptrace), DENY(__NR_process_vm_readv), DENY(__NR_process_vm_writev), DENY(__NR_kill), DENY(__NR_tkill),
      DENY(__NR_mount), DENY(__NR_umount2), DENY(__NR_pivot_root), DENY(__NR_chroot), DENY(__NR_unshare), DENY(__NR_setns),
      DENY(__NR_bpf), DENY(__NR_perf_event_open), DENY(__NR_userfaultfd), DENY(__NR_io_uring_setup), DENY(__NR_io_uring_enter),
      DENY(__NR_io_uring_register), DENY(__NR_keyctl), DENY(__NR_add_key), DENY(__NR_request_key), DENY(__NR_init_module),
      DENY(__NR_finit_module), DENY(__NR_kexec_load), DENY(__NR_open_by_handle_at), DENY(__NR_name_to_handle_at),
      DENY(__NR_memfd_create), DENY(__NR_setrlimit), DENY(__NR_prlimit64), DENY(__NR_seccomp), DENY(__NR_personality),
      DENY(__NR_clock_settime), DENY(__NR_settimeofday), DENY(__NR_setpriority), DENY(__NR_sched_setscheduler), DENY(__NR_pidfd_open),
      DENY(__NR_pidfd_getfd), DENY(__NR_pidfd_send_signal), DENY(__NR_rt_sigqueueinfo), DENY(__NR_rt_tgsigqueueinfo), DENY(__NR_shmget),
      DENY(__NR_msgget), DENY(__NR_semget), DENY(__NR_setsid), DENY(__NR_setpgid), DENY(__NR_reboot), DENY(__NR_swapon),
      DENY(__NR_acct), DENY(__NR_quotactl), DENY(__NR_fsopen), DENY(__NR_fsmount), DENY(__NR_move_mount), DENY(__NR_open_tree),
      DENY(__NR_kcmp), DENY(__NR_modify_ldt), DENY(__NR_delete_module),
      /* its processors are the judge's choice; runtimes that ask for others go on without */
      REFUSE(__NR_sched_setaffinity), REFUSE(__NR_ioprio_set), REFUSE(__NR_sched_setattr), REFUSE(__NR_sched_setparam),
      /* threads only: clone without CLONE_THREAD, or with a new user namespace, makes a process */
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 4),
      LOAD(args[0]),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x00010000u, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      LOAD(nr),
      /* signals to its own threads only */
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_tgkill, 0, 4),
      LOAD(args[0]),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      LOAD(nr),
      /* the trap's handler must stay ours */
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_rt_sigaction, 0, 4),
      LOAD(args[0]),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SIGSYS, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      LOAD(nr),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = (unsigned short)(sizeof code / sizeof *code), .filter = code};
  return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
#endif
}

int ke_confine(const struct ke_plan *plan, uint32_t *held) {
  uint32_t bits = 0;
  if (drop_user(plan->uid) != 0) return -1;
  if (plan->uid != 0) bits |= KE_HAS_UID;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  /* Changing the user made /proc/self unreadable, which dlopen needs; tracing is refused by the filter below. */
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  if (limit(RLIMIT_CORE, 0, "core files") || limit(RLIMIT_FSIZE, plan->limit_fsize, "file size") ||
      limit(RLIMIT_NOFILE, 64, "open files") || limit(RLIMIT_CPU, plan->limit_cpu, "processor time") ||
      limit(RLIMIT_NPROC, plan->limit_nproc, "threads") || limit(RLIMIT_AS, plan->limit_as, "address space") ||
      limit(RLIMIT_MSGQUEUE, 0, "message queues") || limit(RLIMIT_MEMLOCK, 0, "locked memory"))
    return -1;
  if (landlock()) bits |= KE_HAS_LANDLOCK;
  if (filter_calls()) bits |= KE_HAS_SECCOMP;
#if defined(__x86_64__)
  if (!(bits & KE_HAS_SECCOMP)) {
    fprintf(stderr, "ke-host: the system-call filter could not be installed: %s\n", strerror(errno));
    return -1;
  }
#endif
  *held = bits;
  return 0;
}
