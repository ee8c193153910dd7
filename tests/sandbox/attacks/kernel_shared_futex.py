"""Wakes whoever waits on the same library page in another process: a futex without its private flag."""

# ends: exception
# escapes without: seccomp all

import ctypes
import platform

from inalpha import Bar, Strategy

FUTEX = {"x86_64": 202, "aarch64": 98}[platform.machine()]
WAKE = 1


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        place = (ctypes.cast(libc.getpid, ctypes.c_void_p).value or 0) & ~63
        woken = libc.syscall(
            ctypes.c_long(FUTEX), ctypes.c_void_p(place), WAKE, ctypes.c_uint(100), None, None, 0
        )
        if woken < 0:
            raise PermissionError(ctypes.get_errno())
        self.log("ESCAPED: asked")
