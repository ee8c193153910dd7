"""Connects from C, by numbers."""

# ends: exception
# escapes without: all

import ctypes
import struct

from inalpha import Bar, Strategy


class Attack(Strategy):
    tcp_port: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        fd = libc.socket(2, 1, 0)
        if fd < 0:
            raise PermissionError(ctypes.get_errno())
        address = struct.pack("=H", 2) + struct.pack("!H4s8x", self.tcp_port, b"\x7f\0\0\1")
        libc.connect(fd, address, 16)
