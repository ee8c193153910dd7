"""Reads the register that points to its thread."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        if ctypes.CDLL(None).syscall(158, 0x1003, ctypes.create_string_buffer(8)) != 0:
            raise PermissionError
        self.log("ESCAPED: read")
