"""Sends along a descriptor, as only sendmsg can."""

# ends: -
# escapes without: seccomp all

import ctypes
import errno

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        libc.sendmsg(1, ctypes.create_string_buffer(56), 0)
        if ctypes.get_errno() == errno.ENOTSOCK:
            self.log("ESCAPED: sendmsg answered")
