"""Forks by the newest call, whose flags no filter can read."""

# ends: exception
# escapes without: all

import ctypes
import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        arguments = bytearray(88)
        arguments[32] = 17
        pid = libc.syscall(435, (ctypes.c_char * 88).from_buffer(arguments), 88)
        if pid == 0:
            os._exit(0)
        if pid < 0:
            raise OSError(ctypes.get_errno())
        self.log(f"ESCAPED: {pid}")
