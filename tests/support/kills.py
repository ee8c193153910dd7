"""A verb killed inside one of its system calls, by strace."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

STRACE = shutil.which("strace")
ROOT = Path(__file__).parents[2]

# What makes a state durable or visible. A verb stopped before each of these has been stopped everywhere that matters.
CALLS = ("rename", "renameat2", "fsync", "fdatasync", "unlink", "unlinkat", "mkdir", "rmdir")


def _verb(home: Path, *args: str) -> list[str]:
    return [sys.executable, "-m", "inalpha", "--home", str(home), *args]


def calls_of(home: Path, *args: str) -> list[tuple[str, int]]:
    """Every (call, number) at which the verb can be killed, in order; strace numbers by thread. Runs it."""
    assert STRACE
    trace = f"trace={','.join(CALLS)}"
    found = subprocess.run(
        [STRACE, "-f", "-qq", "--seccomp-bpf", "-e", trace, "-o", "/dev/stdout", *_verb(home, *args)],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    numbers: dict[tuple[str, str], int] = {}
    order: dict[tuple[str, int], None] = {}
    for line in found.stdout.splitlines():
        thread, _, rest = line.partition(" ")
        call = rest.strip().partition("(")[0]
        if call in CALLS:
            numbers[thread, call] = numbers.get((thread, call), 0) + 1
            order.setdefault((call, numbers[thread, call]))
    return list(order)


def killed_in(call: str, when: int, home: Path, *args: str) -> int:
    """The exit code of the verb that ends as it enters its when-th such call: the call itself is not made.

    Not with --seccomp-bpf, under which strace 6.1 injects no signal.
    """
    assert STRACE
    return subprocess.run(
        [STRACE, "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}",
         "-e", f"inject={call}:signal=KILL:when={when}", *_verb(home, *args)],
        capture_output=True, cwd=ROOT, timeout=60, check=False, stdin=subprocess.DEVNULL,
    ).returncode  # fmt: skip
