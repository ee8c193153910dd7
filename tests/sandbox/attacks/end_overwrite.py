"""Overwrites objects of the interpreter."""

# ends: signal exception exit deadline output
# escapes without: -

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        ctypes.memset(id(None), 0, 64)
        ctypes.memset(id(type), 0, 256)
