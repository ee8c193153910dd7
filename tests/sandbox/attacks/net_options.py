"""Widens its socket's buffers."""

# ends: -
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setsockopt(3, 1, 7, ctypes.byref(ctypes.c_int(1 << 20)), 4) == 0:
            self.log("ESCAPED: set")
