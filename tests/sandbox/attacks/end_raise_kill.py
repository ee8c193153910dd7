"""Kills itself so that it looks killed from outside and would be started again."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None)
        if getattr(libc, "raise")(9) != 0:
            raise PermissionError("refused")
