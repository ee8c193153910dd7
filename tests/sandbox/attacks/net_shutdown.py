"""Closes one half of its socket, so that the host can write and never learn."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.shutdown(3, 0):
            raise PermissionError(ctypes.get_errno(), "refused")
        self.log("ESCAPED: half shut")
