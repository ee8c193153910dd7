"""Reads which capabilities it holds."""

# ends: exception
# escapes without: seccomp all

import ctypes
import struct

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        header = struct.pack("Ii", 0x20080522, 0)
        if libc.syscall(125, header, ctypes.create_string_buffer(24)) != 0:
            raise PermissionError(ctypes.get_errno())
        self.log("ESCAPED: read")
