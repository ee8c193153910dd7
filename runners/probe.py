"""The level of isolation is measured: a runner tries what a hostile strategy would try.

A positive control (answer, allocate 16 MiB) must pass in the same process, so that a dead probe proves
nothing; a twin without lockdown shows that the attempts work on this machine at all.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from runners import syscalls

CONTROL_BYTES = 16 << 20
# Shared pages are refused to runners anyway: what is asked here is whether executable ones are.
_PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
LEVELS = ("sealed", "fenced", "process")

# Layers asked of the lockdown at each level.
LAYERS_OF: dict[str, frozenset[str]] = {
    "sealed": frozenset({"descriptors", "uid", "no_new_privs", "landlock", "dumpable", "limits", "seccomp"}),
    "fenced": frozenset({"descriptors", "uid", "no_new_privs", "landlock", "dumpable", "limits"}),
    "process": frozenset({"descriptors", "uid", "no_new_privs", "dumpable", "limits"}),
}

# What must be refused at each level. Limits alone stop new descriptors, new processes and memory.
NEEDS: dict[str, frozenset[str]] = {
    "sealed": frozenset(
        "open stat socket fork thread signal executable prctl memory descriptor unshare io_uring".split()  # noqa: SIM905
    ),
    "fenced": frozenset({"open", "socket", "fork", "thread", "memory", "descriptor"}),
    "process": frozenset({"open", "socket", "fork", "thread", "memory", "descriptor"}),
}

# These end the process by SIGSYS where they are refused, so each has a runner of its own.
FATAL = ("unshare", "io_uring")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured on this host at this zygote's start. `level` is None below `process`."""

    level: str | None
    attempts: Mapping[str, str] = field(default_factory=dict)
    unlocked: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """For the evidence blob of `run.isolated`."""
        return {
            "level": self.level,
            "attempts": dict(self.attempts),
            "unlocked": dict(self.unlocked),
            **self.facts,
        }


class Findings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    attempts: dict[str, str]


def answer(role: str, memory_bytes: int, host_pid: int) -> bytes:
    """Runs inside a probe runner: every attempt and the control, as one frame."""
    if role in FATAL:
        chosen = {role: _attempts(memory_bytes, host_pid)[role]}
    else:
        chosen = {k: v for k, v in _attempts(memory_bytes, host_pid).items() if k not in FATAL}
    found = {name: _outcome(attempt) for name, attempt in chosen.items()}
    found["control"] = _outcome(lambda: bytearray(CONTROL_BYTES))
    text = msgspec.json.encode(Findings(found))
    return len(text).to_bytes(4, "big") + text


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except BaseException as error:
        return f"refused: {type(error).__name__} {getattr(error, 'errno', '') or ''}".strip()
    return "allowed"


def _attempts(memory_bytes: int, host_pid: int) -> dict[str, Callable[[], object]]:
    return {
        "open": lambda: os.close(os.open("/etc/passwd", os.O_RDONLY)),
        "stat": lambda: os.stat("/"),
        "socket": lambda: socket.socket().close(),
        "fork": _fork,
        "thread": _thread,
        "signal": lambda: os.kill(host_pid, 0),
        "executable": lambda: mmap.mmap(-1, 4096, _PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        "prctl": lambda: syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1),
        "memory": lambda: bytearray(memory_bytes + CONTROL_BYTES),
        "descriptor": lambda: os.close(os.dup(0)),
        "unshare": lambda: syscalls.call("unshare", syscalls.CLONE_NEWUSER),
        "io_uring": _io_uring,
    }


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _thread() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def _io_uring() -> None:
    parameters: Any = ctypes.create_string_buffer(120)
    os.close(syscalls.call("io_uring_setup", 1, parameters))
