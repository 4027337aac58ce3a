/* What the judge (trusted) and a host (runs untrusted code) share: the plan, the control page and the fixed descriptors.
 * The host can write any byte of the control page, so the judge believes nothing read from there except as a hint. */
#ifndef KE_PROTOCOL_H
#define KE_PROTOCOL_H
#include <stdatomic.h>
#include <stdint.h>

#define KE_MAGIC 0x324c4b45u /* "EKL2" */
#define KE_MAX_TENSORS 64
#define KE_MAX_AXES 64
#define KE_PAGE 4096u
#define KE_LINE 64u

/* Descriptors a host starts with. */
enum { KE_FD_CONTROL = 3, KE_FD_INPUTS = 4, KE_FD_OUTPUTS = 5, KE_FD_OBJECT = 6, KE_FD_PLAN = 7, KE_FDS = 5 };

enum { KE_OP_CALL = 1, KE_OP_TOUCH_AND_CALL = 2 };

/* Where a host got to before its first call; the judge waits for KE_STATE_READY. */
enum { KE_STATE_STARTING = 0, KE_STATE_CONFINED = 1, KE_STATE_READY = 2, KE_STATE_LOAD_FAILED = 3, KE_STATE_SETUP_FAILED = 4 };

/* One tensor: pages [offset, offset + pages * KE_PAGE) of its memory file; the data ends within KE_LINE bytes of the end. */
struct ke_tensor {
  uint64_t offset, pages, bytes;
  uint32_t output, scalar;
};

/* One workload: its run of tensors and of axes in the plan's tables. */
struct ke_shape {
  uint32_t first_tensor, tensors, first_axis, axes;
};

/* Sealed and read-only. Behind the header: ke_shape[shapes], ke_tensor[tensors], int64_t[axes]. */
struct ke_plan {
  uint32_t magic, shapes, tensors, axes;
  /* limits the host puts on itself before it loads the object */
  uint64_t limit_as, limit_cpu, limit_fsize, limit_nproc;
  uint32_t uid;
  int32_t cpu; /* the one processor it runs on, or -1 */
};

struct ke_control {
  /* handshake: judge writes command (a sequence number) and wakes; host answers armed, spins on go, answers done */
  _Alignas(64) _Atomic uint32_t command;
  uint32_t op, shape, spin;
  _Alignas(64) _Atomic uint32_t armed;
  _Alignas(64) _Atomic uint32_t go;
  _Alignas(64) _Atomic uint32_t done;
  _Alignas(64) uint64_t host_ns;
  /* how it died, as the host's own handlers saw it */
  _Alignas(64) _Atomic uint32_t state;
  uint32_t fault_signal, fault_where, fault_tensor, fault_syscall, confinement;
  char load_error[256];
};

/* fault_where */
enum { KE_AT_OTHER = 0, KE_AT_NULL = 1, KE_AT_INPUT = 2, KE_AT_AFTER = 3, KE_AT_BEFORE = 4, KE_AT_OUTPUT = 5, KE_AT_EXHAUSTED = 6 };
/* confinement bits */
enum { KE_HAS_SECCOMP = 1, KE_HAS_LANDLOCK = 2, KE_HAS_UID = 4 };

#endif
