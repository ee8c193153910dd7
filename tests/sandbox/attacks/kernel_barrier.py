"""Interrupts every processor again and again by an allowed call."""

# ends: - deadline
# escapes without: -

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        for _ in range(2000):
            ctypes.CDLL(None).syscall(324, 8, 0, 0)
