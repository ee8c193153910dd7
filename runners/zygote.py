"""The zygote: one thread, a clean environment, pandas loaded; forks runners on request.

Exec'd by the host with one control socket (descriptor 3, SEQPACKET). It holds no secret, because no
layer of the lockdown takes back what a forked process already holds in memory.
"""

from __future__ import annotations

import array
import contextlib
import gc
import json
import os
import signal
import socket
import sys
from typing import Any, NoReturn

from runners import lockdown, syscalls
from runners.child import Assignment, become_runner

CONTROL_FD = 3


def main() -> NoReturn:
    """Arguments: "main" when the host's main thread started us, so that a death signal means its end;
    "shared" (tests alone) to stay in the host's namespaces."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A collection here would leave holes in pages that runners share; they would copy them to fill them.
    gc.disable()
    lockdown.close_descriptors(CONTROL_FD + 1)
    control = socket.socket(fileno=CONTROL_FD)
    host = os.getppid()
    if "main" in sys.argv[1:]:
        # The signal fires at the end of the spawning thread; the closed control socket covers the rest.
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != host:
            os._exit(1)
    try:
        namespaces = "none" if "shared" in sys.argv[1:] else _isolate()
        from runners.plug import plug_holes
        from runners.warmup import warm_up

        failed = warm_up()
        plug_holes()
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
        gc.freeze()
        control.send(json.dumps({"ready": os.getpid(), "namespaces": namespaces, "failed": failed}).encode())
    except BaseException as error:
        control.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
        os._exit(1)
    while True:
        _serve_one(control)


def _isolate() -> str:
    """Best effort, before any thread exists; the level never depends on it. Returns what was achieved."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    wanted = syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        wanted |= syscalls.CLONE_NEWUSER
    try:
        syscalls.call("unshare", wanted)
    except OSError as error:
        return f"none ({error.strerror})"
    if uid != 0:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with contextlib.suppress(OSError), open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
        return "network ipc uts user"
    return "network ipc uts"


def _serve_one(control: socket.socket) -> None:
    message, ancillary, _, _ = control.recvmsg(4096, socket.CMSG_SPACE(2 * 4))
    if not message:
        os._exit(0)
    passed = array.array("i")
    for _, kind, data in ancillary:
        if kind == socket.SCM_RIGHTS:
            passed.frombytes(data[: len(data) - len(data) % passed.itemsize])
    request: dict[str, Any] = json.loads(message)
    child = os.fork()
    if child == 0:
        _double_fork(control, request, passed)
    os.waitpid(child, 0)
    for fd in passed:
        os.close(fd)


def _double_fork(control: socket.socket, request: dict[str, Any], passed: array.array[int]) -> NoReturn:
    # The orphan falls to the nearest subreaper: the host becomes its parent and may reap it.
    try:
        runner = os.fork()
    except OSError as error:
        control.send(json.dumps({"id": request["id"], "error": str(error)}).encode())
        os._exit(1)
    if runner:
        control.send(json.dumps({"id": request["id"], "pid": runner}).encode())
        os._exit(0)
    gc.enable()
    # Its number becomes the runner's socket; the object must not close that when an exit unwinds the stack.
    control.detach()
    become_runner(
        Assignment(
            request["host_pid"],
            request["memory_bytes"],
            request["uid"],
            frozenset(request["layers"]),
            request["role"],
        ),
        *passed,
    )
