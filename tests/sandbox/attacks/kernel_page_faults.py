"""Handles its own page faults, the classic help of kernel exploits."""

# ends: sigsys
# escapes without: all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        fd = ctypes.CDLL(None).syscall(323, 1)
        if fd >= 0:
            self.log("ESCAPED: userfaultfd")
