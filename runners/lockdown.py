"""lockdown(): turns a warm Python process into one that may compute, read one socket and answer.

The order matters: uid before the parent-death signal (setuid clears it), limits before the filter (it
refuses setrlimit), the filter last. Any failure raises; the caller exits 97 before it says `ready`.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import platform
import resource
import signal
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from runners import syscalls

SOCKET_FD = 3
LAYERS = frozenset({"descriptors", "uid", "no_new_privs", "landlock", "dumpable", "limits", "seccomp"})

_ALLOW = """read write readv writev close fstat lseek munmap mremap brk madvise membarrier rseq
set_robust_list rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall nanosleep gettimeofday
time times getpid gettid getppid getuid geteuid getgid getegid getrusage getcpu sysinfo sched_yield exit
exit_group"""

# No strategy reaches these by mistake: the process dies and the operator gets a security alert.
_KILL = """ptrace process_vm_readv process_vm_writev process_madvise kcmp setns unshare mount umount2
pivot_root chroot bpf perf_event_open io_uring_setup userfaultfd keyctl add_key request_key pidfd_getfd
pidfd_send_signal open_by_handle_at init_module finit_module delete_module kexec_load reboot swapon quotactl
acct seccomp"""

_RET_ALLOW, _RET_KILL, _RET_ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _JUMP_EQUAL, _JUMP_GREATER, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_PROT_EXEC, _MAP_SHARED = 4, 1
_MAP_GROWSDOWN, _FUTEX_PRIVATE = 0x100, 128
_X32_BIT = 0x40000000


class LockdownError(RuntimeError):
    """A layer could not be put in place; nothing untrusted may run in this process."""


@dataclass(frozen=True, slots=True)
class Lockdown:
    """What one runner is to be given. layers: tests alone pass fewer than all."""

    host_pid: int
    memory_bytes: int
    uid: int | None = None
    layers: frozenset[str] = LAYERS


def apply(wanted: Lockdown) -> None:
    """Lock this process down for good. Raises LockdownError or OSError."""
    layers = wanted.layers
    present, data = _present_bytes()
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise LockdownError(f"{threads} threads before the lockdown, one allowed")
    if "descriptors" in layers:
        close_descriptors(SOCKET_FD + 1)
    if "uid" in layers and os.geteuid() == 0:
        _drop_root(wanted.uid)
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != wanted.host_pid:
        raise LockdownError("the host is gone")
    if "no_new_privs" in layers:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if "landlock" in layers:
        restrict_by_landlock()
    if "dumpable" in layers:
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    elif os.geteuid() != 0:
        # setuid and the zygote cleared it; a test without this layer wants an ordinary process.
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
    if "limits" in layers:
        _limit(present + wanted.memory_bytes, data + wanted.memory_bytes)
    if "seccomp" in layers:
        _filter(program(os.getpid()))


def close_descriptors(first: int) -> None:
    """Close first and everything above it."""
    try:
        syscalls.call("close_range", first, 0xFFFFFFFF, 0)
    except OSError:
        os.closerange(first, resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def _drop_root(uid: int | None) -> None:
    if not uid:
        raise LockdownError("no spare uid: untrusted code never runs as root")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def landlock_abi() -> int:
    """The kernel's Landlock version, 0 without it."""
    try:
        return syscalls.call("landlock_create_ruleset", None, 0, 1)
    except OSError:
        return 0


def restrict_by_landlock() -> int:
    """Handle every right that this kernel knows and allow none. Returns the ABI; 0: no Landlock here."""
    abi = landlock_abi()
    if not abi:
        return 0
    files = 0x1FFF | (0x2000 if abi >= 2 else 0) | (0x4000 if abi >= 3 else 0) | (0x8000 if abi >= 5 else 0)
    attributes = struct.pack("QQQ", files, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    attributes = attributes[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
    ruleset = syscalls.call("landlock_create_ruleset", attributes, len(attributes), 0)
    try:
        syscalls.call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
    return abi


def _present_bytes() -> tuple[int, int]:
    """Mapped in all, and of that data and stack."""
    # Read first: after Landlock even /proc/self is closed.
    with open("/proc/self/statm", encoding="ascii") as statm:
        fields = statm.read().split()
    return int(fields[0]) * resource.getpagesize(), int(fields[5]) * resource.getpagesize()


def _limit(address_space: int, data: int) -> None:
    # No CPU limit: it counts a run's whole life. NOFILE is 0, not n+1: closing one would free a slot.
    # Both of memory: under the first alone, code that is given back makes room for data.
    for kind, value in (
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_DATA, data),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NICE, 0),
        (resource.RLIMIT_RTPRIO, 0),
        (resource.RLIMIT_SIGPENDING, 16),
        (resource.RLIMIT_STACK, _stack_limit()),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(kind, (value, value))


def _stack_limit() -> int:
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    wanted = 8 << 20
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def _argument(number: int) -> int:
    """Where the filter finds the low word of an argument. Source: struct seccomp_data."""
    return 16 + 8 * number


def program(pid: int) -> bytes:
    """The filter as classic BPF. pid: the only process that tgkill may name."""
    if platform.machine() not in syscalls.ARCHITECTURE:
        raise LockdownError(f"no filter for {platform.machine()}")
    code: list[bytes] = []

    def add(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> None:
        code.append(struct.pack("HBBI", operation, if_true, if_false, value))

    def answer(names: Iterable[str], action: int) -> None:
        for name in names:
            nr = syscalls.number(name)
            if nr is not None:
                add(_JUMP_EQUAL, nr, 0, 1)
                add(_RETURN, action)

    refuse = _RET_ERRNO | errno.EPERM
    add(_LOAD, 4)
    add(_JUMP_EQUAL, syscalls.ARCHITECTURE[platform.machine()], 1, 0)
    add(_RETURN, _RET_KILL)
    add(_LOAD, 0)
    add(_JUMP_GREATER, _X32_BIT, 0, 1)
    add(_RETURN, _RET_KILL)
    answer(_ALLOW.split(), _RET_ALLOW)
    # Shared pages and stacks that grow down count against no limit of data: code given back makes room for them.
    add(_JUMP_EQUAL, syscalls.number("mmap") or 0, 0, 6)
    add(_LOAD, _argument(3))
    add(_JUMP_SET, _MAP_SHARED | _MAP_GROWSDOWN, 2, 0)
    add(_LOAD, _argument(2))
    add(_JUMP_SET, _PROT_EXEC, 0, 1)
    add(_RETURN, refuse)
    add(_RETURN, _RET_ALLOW)
    add(_JUMP_EQUAL, syscalls.number("mprotect") or 0, 0, 4)
    add(_LOAD, _argument(2))
    add(_JUMP_SET, _PROT_EXEC, 0, 1)
    add(_RETURN, refuse)
    add(_RETURN, _RET_ALLOW)
    # A futex that is not private is found by the page behind it: two runners on one library page would talk.
    add(_JUMP_EQUAL, syscalls.number("futex") or 0, 0, 4)
    add(_LOAD, _argument(1))
    add(_JUMP_SET, _FUTEX_PRIVATE, 1, 0)
    add(_RETURN, refuse)
    add(_RETURN, _RET_ALLOW)
    # A negative clock names another process: whether it lives, how long it computed. Source: clock_getcpuclockid(3).
    for name in ("clock_gettime", "clock_getres", "clock_nanosleep"):
        add(_JUMP_EQUAL, syscalls.number(name) or 0, 0, 4)
        add(_LOAD, _argument(0))
        add(_JUMP_SET, 1 << 31, 0, 1)
        add(_RETURN, refuse)
        add(_RETURN, _RET_ALLOW)
    # Of others it would tell which of them live.
    add(_JUMP_EQUAL, syscalls.number("sched_getaffinity") or 0, 0, 5)
    add(_LOAD, _argument(0))
    add(_JUMP_EQUAL, 0, 2, 0)
    add(_JUMP_EQUAL, pid, 1, 0)
    add(_RETURN, refuse)
    add(_RETURN, _RET_ALLOW)
    # To itself, and SIGABRT alone: by SIGKILL it would look killed from outside and be started again.
    add(_JUMP_EQUAL, syscalls.number("tgkill") or 0, 0, 6)
    add(_LOAD, _argument(0))
    add(_JUMP_EQUAL, pid, 0, 3)
    add(_LOAD, _argument(2))
    add(_JUMP_EQUAL, signal.SIGABRT, 0, 1)
    add(_RETURN, _RET_ALLOW)
    add(_RETURN, refuse)
    answer(["clone3"], _RET_ERRNO | errno.ENOSYS)
    answer(_KILL.split(), _RET_KILL)
    add(_RETURN, refuse)
    return b"".join(code)


def filter_sha256() -> str:
    """Identifies the filter in the evidence of a run (the runner's pid left out)."""
    return hashlib.sha256(program(0)).hexdigest()


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


def _filter(code: bytes) -> None:
    buffer = ctypes.create_string_buffer(code, len(code))
    filled = _Program(len(code) // 8, ctypes.addressof(buffer))
    set_mode_filter, tsync = 1, 1
    syscalls.call("seccomp", set_mode_filter, tsync, ctypes.byref(filled))
