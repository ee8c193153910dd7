"""Adds a filter of its own, to watch or blind the first."""

# ends: sigsys
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        ctypes.CDLL(None).syscall(317, 2, 0, ctypes.byref(ctypes.c_uint(0x7FFF0000)))
        self.log("ESCAPED: the kernel answered")
