"""Writes a forged frame by writev, past a replaced os.write."""

# ends: protocol
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.writev(3, [b"\0\0\0\2", b"{}"])
