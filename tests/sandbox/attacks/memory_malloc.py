"""Takes memory from C."""

# ends: -
# escapes without: limits all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        malloc = ctypes.CDLL(None).malloc
        malloc.restype = ctypes.c_void_p
        block = malloc(1 << 30)
        if block:
            ctypes.memset(block, 1, 1 << 30)
            self.log("ESCAPED: a gigabyte")
