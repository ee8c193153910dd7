"""Stops itself, so that it neither answers nor ends."""

# ends: exception
# escapes without: -

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None)
        if getattr(libc, "raise")(19) != 0:
            raise PermissionError("refused")
