"""Sleeps in C, by an absolute time far away."""

# ends: deadline
# escapes without: -

import ctypes
import struct

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        wake = struct.pack("qq", 1 << 40, 0)
        ctypes.CDLL(None).clock_nanosleep(1, 1, wake, None)
