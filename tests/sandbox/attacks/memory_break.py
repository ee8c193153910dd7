"""Moves the end of the heap."""

# ends: -
# escapes without: limits all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None)
        libc.sbrk.restype = ctypes.c_void_p
        before = libc.sbrk(ctypes.c_long(1 << 30))
        if before != ctypes.c_void_p(-1).value:
            ctypes.memset(before, 1, 1 << 30)
            self.log("ESCAPED: a gigabyte")
