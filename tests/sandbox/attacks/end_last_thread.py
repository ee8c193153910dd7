"""Ends its only thread, not its process."""

# ends: exit
# escapes without: -

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        ctypes.CDLL(None).syscall(60, 0)
