"""Compares kernel objects to learn addresses."""

# ends: sigsys
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        ctypes.CDLL(None).syscall(312, 1, 1, 0, 1, 1)
        self.log("ESCAPED: the kernel answered")
