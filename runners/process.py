"""Processes from the host's side: the zygote, a runner, its /proc record, its death and what it means."""

from __future__ import annotations

import array
import contextlib
import errno
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inalpha.model.runner import RunnerEnded
from runners import syscalls
from runners.child import EXIT_LOCKDOWN
from runners.lockdown import LAYERS
from runners.protocol import Limits, OutputMeter, shown

ZYGOTE_START_S = 20.0

# Exactly this and nothing else: no layer takes back what a process holds from its start.
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "PYTHONHASHSEED": "0",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MALLOC_ARENA_MAX": "1",
}


def clean_environment(hash_seed: int = 0) -> dict[str, str]:
    """The zygote's whole environment. hash_seed: the gate runs a candidate under two."""
    return {**_ENVIRONMENT, "PYTHONHASHSEED": str(hash_seed)}


class ZygoteError(RuntimeError):
    """The zygote did not start, or is gone; no run fails by it, the next start makes another."""


class Zygote:
    """One fork server. Not thread-safe; spawn from one thread at a time.

    environment, is_shared: tests alone pass them, to show that the attack suite notices a secret in the
    environment, and the host's own namespaces.
    """

    def __init__(
        self,
        *,
        hash_seed: int = 0,
        environment: Mapping[str, str] | None = None,
        is_shared: bool = False,
    ) -> None:
        self._environment = dict(environment or clean_environment(hash_seed))
        self._is_shared = is_shared
        self._control: socket.socket | None = None
        self._requests = 0
        self.pid = 0
        self.namespaces = ""
        self.failed: list[str] = []

    def start(self) -> None:
        """Exec and await readiness. Raises ZygoteError with the reason."""
        self.begin()
        self.await_ready()

    def begin(self) -> None:
        """Exec it, without waiting. From the main thread, when the zygote is to die with this process."""
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        root = str(Path(__file__).resolve().parent.parent)
        code = f"import sys; sys.path.insert(0, {root!r}); from runners.zygote import main; main()"
        thread = "main" if threading.current_thread() is threading.main_thread() else "other"
        with theirs:
            self.pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-P", "-s", "-c", code, thread, *(["shared"] if self._is_shared else [])],
                self._environment,
                file_actions=[
                    # The socket first: descriptors 0-2 may be anything in a host without standard streams.
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
                ],
                setsid=True,
                setsigdef=[signal.SIGINT, signal.SIGTERM],
                setsigmask=[],
            )
        self._control = ours

    def await_ready(self, timeout_s: float = ZYGOTE_START_S) -> None:
        """Wait until it has warmed up; any thread may. Raises ZygoteError."""
        answer = self._receive(timeout_s)
        if "ready" not in answer:
            self.close()
            raise ZygoteError(str(answer.get("error", "the zygote ended while it started")))
        self.namespaces = answer["namespaces"]
        self.failed = answer["failed"]

    def _receive(self, timeout_s: float) -> dict[str, Any]:
        if self._control is None:
            raise ZygoteError("the zygote is not running")
        self._control.settimeout(timeout_s)
        try:
            message = self._control.recv(65536)
        except TimeoutError:
            self.close()
            raise ZygoteError(f"the zygote did not answer within {timeout_s:.0f} s") from None
        answer: dict[str, Any] = json.loads(message) if message else {}
        return answer

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; reaps it when it does not."""
        if self._control is not None and os.waitpid(self.pid, os.WNOHANG)[0]:
            self._control.close()
            self._control = None
        return self._control is not None

    def spawn(
        self,
        *,
        uid: int | None,
        limits: Limits,
        layers: frozenset[str] = LAYERS,
        role: str = "runner",
    ) -> RunnerProcess:
        """Fork one runner; it locks itself down while we return. Raises ZygoteError."""
        ours, theirs = socket.socketpair()
        read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(write_end, True)
        self._requests += 1
        request = {
            "id": self._requests,
            "host_pid": os.getpid(),
            "uid": uid,
            "memory_bytes": limits.memory_bytes,
            "layers": sorted(layers),
            "role": role,
        }
        try:
            with theirs:
                pid = self._ask(request, theirs.fileno(), write_end)
        except BaseException:
            ours.close()
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        return RunnerProcess(pid, ours, read_end, limits)

    def _ask(self, request: dict[str, Any], *descriptors: int) -> int:
        if self._control is None:
            raise ZygoteError("the zygote is not running")
        try:
            rights = array.array("i", descriptors)
            self._control.sendmsg(
                [json.dumps(request).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
            )
            answer = self._receive(5.0)
        except OSError as error:
            self.close()
            raise ZygoteError(f"the zygote is gone: {error}") from None
        if answer.get("id") != request["id"] or "pid" not in answer:
            self.close()
            raise ZygoteError(str(answer.get("error", "the zygote is gone")))
        return int(answer["pid"])

    def close(self) -> None:
        """End it and reap it. Its runners live on: their parent is this process."""
        if self._control is None:
            return
        self._control.close()
        self._control = None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended. signal 0: by itself, with `status`. peak_bytes: its largest resident size."""

    status: int
    signal: int
    peak_bytes: int


@dataclass(slots=True)
class RunnerProcess:
    """One runner: pid, pidfd, the socket and the pipe of its output. Reaped once."""

    pid: int
    sock: socket.socket
    output_fd: int
    limits: Limits
    pidfd: int = -1
    start_ticks: int = 0
    base_bytes: int = 0
    meter: OutputMeter = field(init=False)
    exit: Exit | None = None
    killed: RunnerEnded | None = None

    def __post_init__(self) -> None:
        self.sock.setblocking(False)
        self.meter = OutputMeter(self.limits)
        # The pid cannot be taken by another before we reap it: it is, or becomes, our child.
        self.pidfd = os.pidfd_open(self.pid)
        self.start_ticks = int(_stat_fields(self.pid)[19])

    def check(self, layers: frozenset[str] = LAYERS) -> None:
        """Read /proc ourselves and demand what the level promises. Raises RunnerEnded("isolation")."""
        status = _status(self.pid)
        self.base_bytes = int(status.get("VmRSS", "0 kB").split()[0]) << 10
        wanted = {"Threads": "1"}
        if "no_new_privs" in layers:
            wanted["NoNewPrivs"] = "1"
        if "seccomp" in layers:
            wanted["Seccomp"] = "2"
        for name, value in wanted.items():
            if status.get(name) != value:
                raise RunnerEnded("isolation", f"{name} is {status.get(name)}, {value} demanded")
        if "0" in status["Uid"].split():
            raise RunnerEnded("isolation", f"the runner's uids are {status['Uid']}: never root")

    def cpu_s(self) -> float:
        """Processor time that it has used, 0.0 once it is reaped."""
        try:
            # clock_getcpuclockid(3): the complement of the pid, shifted, names the process clock.
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:
            return 0.0

    def state(self) -> str:
        """The letter of /proc/PID/stat: R runs, S sleeps, Z has ended."""
        try:
            return _stat_fields(self.pid)[0]
        except (OSError, IndexError):
            return "X"

    def read_output(self) -> str | None:
        """Drain the pipe. None, or which output cap was passed."""
        while True:
            try:
                data = os.read(self.output_fd, 65536)
            except BlockingIOError:
                return None
            except OSError:
                return None
            if not data:
                return None
            passed = self.meter.add(data, time.monotonic())
            if passed:
                return passed

    def kill(self, why: RunnerEnded) -> None:
        """SIGKILL by pidfd; the first reason stands."""
        if self.exit is not None:
            return
        if self.killed is None and not self.has_ended():
            self.killed = why
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def has_ended(self, wait_s: float = 0.0) -> bool:
        """Whether it is a zombie or reaped, after at most wait_s."""
        if self.exit is not None:
            return True
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(wait_s * 1000))

    def reap(self, timeout_s: float = 5.0) -> Exit:
        """Wait for its end, end its session's stragglers, close everything. Raises TimeoutError."""
        if self.exit is not None:
            return self.exit
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        if not poll.poll(timeout_s * 1000):
            raise TimeoutError(f"runner {self.pid} did not end within {timeout_s} s")
        self._end_session()
        until = time.monotonic() + timeout_s
        while True:
            try:
                _, status, usage = os.wait4(self.pid, 0)
                break
            except ChildProcessError:
                # Between the fork and the end of the intermediate it is not ours yet.
                if time.monotonic() > until:
                    raise
                time.sleep(0.0005)
        code = os.waitstatus_to_exitcode(status)
        self.read_output()
        self.exit = Exit(max(code, 0), max(-code, 0), usage.ru_maxrss << 10)
        self.sock.close()
        os.close(self.output_fd)
        os.close(self.pidfd)
        return self.exit

    def _end_session(self) -> None:
        # Until the zombie is reaped its pid, which is also its session's id, is nobody else's.
        for _ in range(8):
            found = [pid for pid in session_members(self.pid) if pid != self.pid]
            for pid in found:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
                    # It fell to us, the subreaper; still-dying ones are met in the next round.
                    os.waitpid(pid, os.WNOHANG)
            if not found:
                return
            time.sleep(0.001)

    def ended(self) -> RunnerEnded:
        """What its end means to the operator. Reaps first."""
        gone = self.reap()
        if self.killed is not None and gone.signal == signal.SIGKILL:
            return self.killed
        detail = {"output": self.meter.tail[-500:]} if self.meter.tail else {}
        budget = self.limits.memory_bytes
        over = self.base_bytes > 0 and gone.peak_bytes - self.base_bytes >= budget * 9 // 10
        if gone.signal == signal.SIGSYS:
            return RunnerEnded("sigsys", "tried a forbidden system call", detail=detail)
        if gone.signal == signal.SIGKILL:
            return RunnerEnded("killed", "killed from outside (memory?)", detail=detail)
        if gone.status == EXIT_LOCKDOWN and not self.base_bytes:
            return RunnerEnded("isolation", f"the lockdown failed: {shown(self.meter.tail)}", detail=detail)
        if over:
            return RunnerEnded("memory", f"over {budget >> 20} MiB", detail=detail)
        if gone.signal:
            name = signal.Signals(gone.signal).name
            return RunnerEnded("signal", f"ended by {name}", detail=detail)
        return RunnerEnded("exit", f"ended by itself ({gone.status})", detail=detail)

    def deadline_passed(self, what: str, seconds: float, wall_s: float, cpu_s: float) -> RunnerEnded:
        """busy or blocked, judged before the kill."""
        busy = self.state() == "R" or cpu_s > 0.25 * wall_s
        return RunnerEnded("deadline", f"{what} passed {seconds:g} s ({'busy' if busy else 'blocked'})")


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _stat_fields(pid: int) -> list[str]:
    # The name in brackets may hold anything: fields are counted after its last bracket.
    text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    return text.rpartition(")")[2].split()


def session_members(session: int) -> list[int]:
    """Every process of a session, zombies too."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if int(_stat_fields(int(name))[3]) == session:
                    found.append(int(name))
            except (OSError, IndexError):
                continue
    return found


def kill_recorded(pid: int, start_ticks: int, boot_id: str) -> bool:
    """End a runner that an earlier host left, only on an exact match. Returns whether it was there."""
    if boot_id != read_boot_id():
        return False
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        if error.errno in (errno.ESRCH, errno.EINVAL):
            return False
        raise
    try:
        if int(_stat_fields(pid)[19]) != start_ticks:
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except (OSError, IndexError):
        return False
    finally:
        os.close(pidfd)
    return True


def read_boot_id() -> str:
    """Identifies this boot: pids of another mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
