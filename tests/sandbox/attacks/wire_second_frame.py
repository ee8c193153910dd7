"""Answers twice."""

# ends: protocol
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        real = os.write
        os.write = lambda fd, data: real(fd, data + data) // 2 if fd == 3 else real(fd, data)
