/* A host that did not answer: what happened, as a fact line. What the host itself wrote about its death is a hint only. */
#include "judge.h"

#include <signal.h>
#include <sys/wait.h>

static const char *place(const struct ke_control *c) {
  switch (c->fault_where) {
    case KE_AT_NULL: return "near the null pointer";
    case KE_AT_INPUT: return "a write to an input";
    case KE_AT_AFTER: return "past the end of a tensor";
    case KE_AT_BEFORE: return "before the start of a tensor";
    case KE_AT_OUTPUT: return "inside an output";
    case KE_AT_EXHAUSTED: return "memory is exhausted";
    default: return "outside every tensor";
  }
}

/* The code of docs/threat-model.md for the way a host ended. */
static const char *code_of(const struct host *h, enum outcome outcome) {
  const struct ke_control *c = h->control;
  if (outcome == CALL_TIMEOUT) return h->sequence == 0 ? "load_timeout" : "call_timeout";
  /* Once it has been called it was set up and loaded, whatever it writes there. */
  uint32_t state = h->sequence > 0 ? KE_STATE_READY : c->state;
  if (state == KE_STATE_STARTING || state == KE_STATE_SETUP_FAILED) return "host_setup_failed";
  if (state == KE_STATE_LOAD_FAILED) return "load_failed";
  uint32_t signal = c->fault_signal;
  /* SIGSYS without our handler: the filter ended the process, which it does to whoever meddles with the handler. */
  if (signal == 0 && WIFSIGNALED(h->status)) signal = (uint32_t)WTERMSIG(h->status);
  /* bubblewrap hands a signal on as 128 + signal. */
  if (signal == 0 && WIFEXITED(h->status) && WEXITSTATUS(h->status) > 128) signal = (uint32_t)WEXITSTATUS(h->status) - 128;
  switch (signal) {
    case SIGSEGV:
    case SIGBUS:
      return c->fault_where == KE_AT_INPUT                                           ? "input_written"
             : c->fault_where == KE_AT_AFTER || c->fault_where == KE_AT_BEFORE ? "out_of_bounds"
             : c->fault_where == KE_AT_EXHAUSTED                                     ? "out_of_memory"
                                                                                     : "segfault";
    case SIGFPE: return "arithmetic_fault";
    case SIGILL: return "illegal_instruction";
    case SIGSYS: return "forbidden_syscall";
    case SIGXFSZ: return "file_too_large";
    case SIGXCPU: return "cpu_time_exceeded";
    case SIGABRT: return "aborted";
    case SIGKILL: return "killed";
    case 0: return "exited_early";
    default: return "killed_by_signal";
  }
}

void out_host_failure(const struct host *h, enum outcome outcome, const struct workload *w) {
  const struct ke_control *c = h->control;
  out_begin("host_failure");
  out_str("workload", w->uuid);
  out_str("role", h->role == ROLE_CANDIDATE ? "candidate" : h->role == ROLE_ORACLE ? "oracle" : "baseline");
  out_str("name", h->name);
  const char *code = code_of(h, outcome);
  out_str("code", code);
  out_int("signal", (int64_t)c->fault_signal);
  out_int("syscall", c->fault_signal == SIGSYS ? (int64_t)c->fault_syscall : -1);
  out_str("place", place(c));
  out_str("tensor", (c->fault_where >= KE_AT_INPUT && c->fault_where <= KE_AT_OUTPUT && c->fault_tensor < w->tensors) ? w->tensor[c->fault_tensor].name : "");
  out_int("exit", h->dead && WIFEXITED(h->status) ? WEXITSTATUS(h->status) : -1);
  char error[sizeof c->load_error];
  for (size_t i = 0; i < sizeof error; i++) error[i] = c->load_error[i];
  error[sizeof error - 1] = '\0';
  out_str("load_error", error);
  out_bytes("text", h->text, h->text_len);
  out_int("text_bytes", (int64_t)h->text_total);
  out_end();
}
