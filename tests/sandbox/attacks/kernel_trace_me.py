"""Asks its parent to trace it."""

# ends: sigsys
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        if ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0:
            self.log("ESCAPED: traced")
