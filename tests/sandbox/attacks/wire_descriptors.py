"""Writes a byte to every descriptor."""

# ends: protocol
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        for fd in range(3, 256):
            try:
                os.write(fd, b"x")
            except OSError:
                continue
