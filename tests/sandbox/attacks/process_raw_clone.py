"""Forks by the call's number."""

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
        pid = libc.syscall(56, 17, 0, 0, 0, 0)
        if pid == 0:
            os._exit(0)
        if pid < 0:
            raise PermissionError(ctypes.get_errno())
        self.log(f"ESCAPED: {pid}")
