"""The zygote from the host's side: exec it with a clean environment, ask it for runners, replace it."""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runners import syscalls
from runners.lockdown import LAYERS
from runners.process import RunnerProcess
from runners.protocol import Limits

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
