"""The memory of a process that holds keys, tokens or a person's words is nobody else's to read.

Other programs of the same user (a browser, an editor's plug-in, a strategy's author) could otherwise attach to it, or
find a passphrase in the core that a crash leaves behind. Root can still do both.
"""

from __future__ import annotations

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4


def close_memory() -> None:
    """No core dump, no ptrace, no /proc/PID/mem for this process; for its children no core dump.

    A program that is executed later opens up again and closes itself: the zygote's set-up needs /proc/self until then.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, *[ctypes.c_ulong(0)] * 4)
