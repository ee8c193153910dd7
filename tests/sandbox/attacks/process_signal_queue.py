"""Queues a signal with a forged sender."""

# ends: exception
# escapes without: all

import ctypes
import struct

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        info = struct.pack("iiiiii", 0, 0, -1, 0, 0, 0) + bytes(104)
        if libc.syscall(129, self.victim_pid, 0, info) != 0:
            raise PermissionError(ctypes.get_errno())
        self.log("ESCAPED: queued")
