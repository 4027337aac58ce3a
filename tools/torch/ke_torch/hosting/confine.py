"""What a host may do: limits, another user, no new privileges, and a system-call filter. Runs in the forked child."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
from dataclasses import dataclass

_LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
ALLOW, TRAP, ERRNO_EPERM, ERRNO_ENOSYS, KILL = 0x7FFF0000, 0x00030000, 0x00050001, 0x00050026, 0x80000000
LOAD, JEQ, JGE, JSET, RET = 0x20, 0x15, 0x35, 0x45, 0x06
AUDIT_X86_64 = 0xC000003E
CLONE_THREAD = 0x00010000

# System calls by their x86-64 numbers that no kernel needs.
FORBIDDEN = {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kill": 62, "mount": 165, "umount2": 166,
    "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308, "bpf": 321, "userfaultfd": 323,
    "io_uring_setup": 425, "keyctl": 250, "add_key": 248, "request_key": 249, "init_module": 175,
    "finit_module": 313, "kexec_load": 246, "open_by_handle_at": 304, "seccomp": 317, "clock_settime": 227,
    "settimeofday": 164, "pidfd_send_signal": 424, "rt_sigqueueinfo": 129,
    "setsid": 112, "setpgid": 109, "reboot": 169, "swapon": 167, "setpriority": 141,
}  # fmt: skip
PROCESSES = {"fork": 57, "vfork": 58, "execve": 59, "execveat": 322}
# Refused without a fuss: drivers ask for them and go on without.
REFUSED = {"pidfd_open": 434, "pidfd_getfd": 438}
SOCKET, SOCKETPAIR, CLONE, CLONE3, TGKILL = 41, 53, 56, 435, 234
AF_UNIX = 1


@dataclass(frozen=True)
class Limits:
    """What the job allows; 0 leaves a limit as it is."""

    address_space: int
    cpu_seconds: int
    file_bytes: int
    processes: int
    uid: int
    allow_processes: bool
    allow_unix_sockets: bool


def _instruction(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", code, yes, no, k)


def _refuse(number: int, action: int) -> list[bytes]:
    return [_instruction(JEQ, number, 0, 1), _instruction(RET, action)]


def filter_program(limits: Limits) -> bytes:
    """The filter's instructions: offsets 0, 4 and 16 are the call's number, architecture and first argument."""
    code = [
        _instruction(LOAD, 4),
        _instruction(JEQ, AUDIT_X86_64, 1, 0),
        _instruction(RET, KILL),
        _instruction(LOAD, 0),
        _instruction(JGE, 0x40000000, 0, 1),
        _instruction(RET, KILL),
    ]
    for number in FORBIDDEN.values():
        code += _refuse(number, TRAP)
    for number in REFUSED.values():
        code += _refuse(number, ERRNO_EPERM)
    # No socket but a local one, and that only where the device's driver talks to a daemon; elsewhere a local one is refused
    # without a fuss, since libc asks a name service by it.
    local = ALLOW if limits.allow_unix_sockets else ERRNO_EPERM
    family = [
        _instruction(LOAD, 16),
        _instruction(JEQ, AF_UNIX, 1, 0),
        _instruction(RET, TRAP),
        _instruction(RET, local),
    ]
    for number in (SOCKET, SOCKETPAIR):
        code += [_instruction(JEQ, number, 0, len(family)), *family]
    if not limits.allow_processes:
        for number in PROCESSES.values():
            code += _refuse(number, TRAP)
        # clone3's flags cannot be read here: without it libc uses clone, of which threads are allowed.
        code += _refuse(CLONE3, ERRNO_ENOSYS)
        threads = [
            _instruction(LOAD, 16),
            _instruction(JSET, CLONE_THREAD, 1, 0),
            _instruction(RET, TRAP),
            _instruction(LOAD, 0),
        ]
        code += [_instruction(JEQ, CLONE, 0, len(threads)), *threads]
    # Signals to threads of its own process only.
    own = [
        _instruction(LOAD, 16),
        _instruction(JEQ, os.getpid(), 1, 0),
        _instruction(RET, TRAP),
        _instruction(LOAD, 0),
    ]
    code += [_instruction(JEQ, TGKILL, 0, len(own)), *own, _instruction(RET, ALLOW)]
    return b"".join(code)


def _prctl(option: int, a: int = 0, b: int = 0) -> None:
    if _LIBC.prctl(option, ctypes.c_ulong(a), ctypes.c_ulong(b), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY and hard < value:
        value = hard
    # Processor time ends with the signal that names the reason, a second before the one that does not.
    resource.setrlimit(kind, (value, value + 1 if kind == resource.RLIMIT_CPU and value != hard else value))


def die_with_parent() -> None:
    """This process is killed when the one that started it is gone."""
    _prctl(PR_SET_PDEATHSIG, 9)


def confine(limits: Limits) -> list[str]:
    """Puts the limits on this process, and answers which of them hold."""
    held = []
    for name, kind, value in (
        ("core", resource.RLIMIT_CORE, 0),
        ("file_bytes", resource.RLIMIT_FSIZE, limits.file_bytes),
        ("cpu_seconds", resource.RLIMIT_CPU, limits.cpu_seconds),
        ("address_space", resource.RLIMIT_AS, limits.address_space),
        ("processes", resource.RLIMIT_NPROC, limits.processes),
    ):
        if value > 0 or name == "core":
            _limit(kind, value)
            held.append(name)
    if limits.uid != 0:
        os.setgroups([])
        os.setresgid(limits.uid, limits.uid, limits.uid)
        os.setresuid(limits.uid, limits.uid, limits.uid)
        held.append("uid")
    die_with_parent()
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    if platform.machine() == "x86_64":
        program = filter_program(limits)
        buffer = ctypes.create_string_buffer(program, len(program))
        packed = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
        head = ctypes.create_string_buffer(packed, len(packed))
        _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(head))
        held.append("seccomp")
    return held
