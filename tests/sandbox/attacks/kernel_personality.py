"""Asks that readable pages become executable by themselves."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.personality(0x0400000) < 0:
            raise PermissionError(ctypes.get_errno())
        self.log("ESCAPED: set")
