"""Registers a restartable sequence at a bad address."""

# ends: - signal
# escapes without: -

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        ctypes.CDLL(None).syscall(334, ctypes.c_void_p(64), 32, 0, 0x53053053)
