"""Leaves a key with the kernel for a later run."""

# ends: sigsys
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        ctypes.CDLL(None).syscall(248, b"user", b"note", b"here", 4, -3)
        self.log("ESCAPED: the kernel answered")
