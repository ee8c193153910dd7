"""Walks the C library's own list of variables."""

# ends: -
# escapes without: environment

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        variables = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
        position = 0
        while variables[position]:
            self.log(variables[position].decode("utf-8", "replace"))
            position += 1
