"""A runner from the host's side: its /proc record, its output, its death and what that means."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from inalpha.model.runner import RunnerEnded
from runners.child import EXIT_LOCKDOWN
from runners.lockdown import LAYERS
from runners.messages import shown
from runners.protocol import Limits, OutputMeter


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
