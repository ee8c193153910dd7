"""Loads a kernel module."""

# ends: sigsys
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        ctypes.CDLL(None).syscall(175, b"x", 1, b"")
        self.log("ESCAPED: the kernel answered")
