"""Leaves the kernel a list of locks that points nowhere, and ends."""

# ends: exit
# escapes without: -

import ctypes
import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        ctypes.CDLL(None).syscall(273, ctypes.c_void_p(64), 24)
        os._exit(3)
