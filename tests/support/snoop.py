"""Another program of the same user, which wants to read a process's memory. Run as `snoop.py PID`, it prints JSON."""

from __future__ import annotations

import ctypes
import json
import os
import sys

PTRACE_ATTACH, PTRACE_DETACH, CAPABILITY_VERSION_3 = 16, 17, 0x20080522


def become_ordinary() -> None:
    """Root without its rights: what is left is one program beside another of the same user."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")


def attach(pid: int) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(PTRACE_ATTACH, pid, None, None):
        return False
    os.waitpid(pid, 0)
    libc.ptrace(PTRACE_DETACH, pid, None, None)
    return True


def opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True


def reads(path: str) -> bool:
    """Some kernels open what they then refuse to show."""
    try:
        with open(path, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False


def core_limit(pid: int) -> list[str]:
    with open(f"/proc/{pid}/limits", encoding="ascii") as limits:
        return next(line.split()[4:6] for line in limits if line.startswith("Max core file size"))


if __name__ == "__main__":
    target = int(sys.argv[1])
    become_ordinary()
    found = {"core": core_limit(target), "attach": attach(target), "mem": opens(f"/proc/{target}/mem"),
             "environ": reads(f"/proc/{target}/environ"), "maps": reads(f"/proc/{target}/maps")}  # fmt: skip
    print(json.dumps(found))  # noqa: T201
