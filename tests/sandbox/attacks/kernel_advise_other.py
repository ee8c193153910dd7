"""Advises the kernel about another's memory."""

# ends: sigsys
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        ctypes.CDLL(None).syscall(440, -1, None, 0, 0, 0)
        self.log("ESCAPED: the kernel answered")
