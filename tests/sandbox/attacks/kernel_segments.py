"""Reads the table of segments."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        if ctypes.CDLL(None).syscall(154, 0, ctypes.create_string_buffer(64), 64) < 0:
            raise PermissionError
        self.log("ESCAPED: read")
