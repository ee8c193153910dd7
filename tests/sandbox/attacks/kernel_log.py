"""Reads the kernel's log for addresses."""

# ends: exception
# escapes without: -

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        if ctypes.CDLL(None).klogctl(10, None, 0) < 0:
            raise PermissionError
        self.log("ESCAPED: read")
