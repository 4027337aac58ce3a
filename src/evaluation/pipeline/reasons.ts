import type { Reason, Status } from "../../domain/index.ts";
import type { HostFailure, WrongAnswer } from "../native/events.ts";

/** How a host's end is reported. Codes are listed in docs/threat-model.md. */
const FAILURES: Readonly<Record<string, { status: Status; text: string }>> = {
  segfault: { status: "runtime_error", text: "segmentation fault" },
  input_written: { status: "runtime_error", text: "wrote to an input; inputs are read-only memory" },
  out_of_bounds: { status: "runtime_error", text: "read or wrote outside a tensor (guard page)" },
  out_of_memory: { status: "runtime_error", text: "ran out of the memory it may use" },
  arithmetic_fault: {
    status: "runtime_error",
    text: "arithmetic fault (integer division by zero or overflow, SIGFPE)",
  },
  illegal_instruction: {
    status: "runtime_error",
    text: "illegal instruction: this processor lacks what the code was built for",
  },
  forbidden_syscall: { status: "tampered", text: "made a system call that kernels may not make" },
  file_too_large: { status: "runtime_error", text: "wrote a file past the size limit" },
  cpu_time_exceeded: { status: "timeout", text: "used up its processor time" },
  aborted: { status: "runtime_error", text: "aborted" },
  killed: { status: "runtime_error", text: "was killed, most likely for exceeding the memory limit" },
  killed_by_signal: { status: "runtime_error", text: "was ended by a signal" },
  exited_early: { status: "runtime_error", text: "ended its process instead of returning" },
  call_timeout: { status: "timeout", text: "did not return within the time limit of one call" },
  load_timeout: { status: "timeout", text: "did not finish loading (a constructor that does not return?)" },
  load_failed: { status: "compile_error", text: "does not load" },
  host_setup_failed: { status: "infrastructure_error", text: "the host could not be set up" },
};

/** Names of the system calls a kernel is most likely to try (x86-64 numbers). */
const SYSCALLS: Readonly<Record<number, string>> = {
  41: "socket",
  53: "socketpair",
  56: "clone (a new process)",
  57: "fork",
  58: "vfork",
  59: "execve",
  62: "kill",
  101: "ptrace",
  109: "setpgid",
  112: "setsid",
  160: "setrlimit",
  200: "tkill",
  272: "unshare",
  298: "perf_event_open",
  302: "prlimit64",
  310: "process_vm_readv",
  311: "process_vm_writev",
  317: "seccomp",
  319: "memfd_create",
  322: "execveat",
};

/** Status and reason for a host that did not answer. */
export function failureReason(failure: HostFailure): { status: Status; reason: Reason } {
  const known = FAILURES[failure.code] ?? { status: "runtime_error" as const, text: failure.code };
  const details = [
    failure.code === "forbidden_syscall" && failure.syscall >= 0
      ? (SYSCALLS[failure.syscall] ?? `number ${failure.syscall}`)
      : "",
    failure.tensor === "" ? "" : `near ${failure.tensor}`,
    failure.code === "segfault" ? failure.place : "",
    failure.code === "exited_early" && failure.exit >= 0 ? `exit code ${failure.exit}` : "",
    failure.load_error,
  ].filter((text) => text !== "");
  const who =
    failure.role === "candidate"
      ? "the candidate"
      : failure.role === "oracle"
        ? "the problem's reference"
        : `the baseline ${failure.name}`;
  const message = `${who} ${known.text}${details.length === 0 ? "" : `: ${details.join(", ")}`}`;
  // What our own code or the problem's reference does is never held against the candidate.
  const status = failure.role === "candidate" ? known.status : "infrastructure_error";
  const code = failure.role === "candidate" ? failure.code : `${failure.role}_${failure.code}`;
  return { status, reason: { code, message, workload: failure.workload } };
}

/** Reason for a wrong answer, with the first wrong element. */
export function wrongReason(wrong: WrongAnswer): { status: Status; reason: Reason } {
  const show = (value: number | null, text: string): string =>
    text === "" ? (value === null ? "?" : value.toPrecision(7)) : text;
  const place = `${wrong.output}[${wrong.index}]`;
  const values = `is ${show(wrong.got, wrong.got_text)}, expected ${show(wrong.expected, wrong.expected_text)}`;
  const count = `${wrong.wrong_elements} of ${wrong.elements} elements wrong`;
  switch (wrong.code) {
    case "wrote_outside_output":
      return {
        status: "runtime_error",
        reason: {
          code: wrong.code,
          message: `the candidate wrote outside ${wrong.output}, into the bytes beside it`,
          workload: wrong.workload,
        },
      };
    case "output_not_written":
      return {
        status: "wrong_answer",
        reason: {
          code: wrong.code,
          message: `${place} was not written (${count}, trial: ${wrong.trial})`,
          workload: wrong.workload,
        },
      };
    case "deferred_work":
      return {
        status: "tampered",
        reason: {
          code: wrong.code,
          message: `${wrong.output} still changed after the call had returned (${wrong.trial}): work is done outside the time that is measured`,
          workload: wrong.workload,
        },
      };
    case "timed_output_wrong":
      return {
        status: "tampered",
        reason: {
          code: wrong.code,
          message: `a timed call answered wrongly although verification passed: ${place} ${values} (${count}); the candidate behaves differently when timed or keeps results between calls`,
          workload: wrong.workload,
        },
      };
    default:
      return {
        status: "wrong_answer",
        reason: {
          code: wrong.code,
          message: `${place} ${values} (${count}, trial: ${wrong.trial})`,
          workload: wrong.workload,
        },
      };
  }
}
