"""Writes into a bystander's memory."""

# ends: sigsys
# escapes without: all

import ctypes
import struct

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 0
    victim_address: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        mine = ctypes.create_string_buffer(b"overwritten here", 16)
        here = struct.pack("QQ", ctypes.addressof(mine), 16)
        there = struct.pack("QQ", self.victim_address, 16)
        if ctypes.CDLL(None).process_vm_writev(self.victim_pid, here, 1, there, 1, 0) == 16:
            self.log("ESCAPED: written")
