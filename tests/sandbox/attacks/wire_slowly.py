"""Sends its frame byte by byte, which is allowed within the deadline."""

# ends: -
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        real = os.write

        def write(fd, data):
            return real(fd, data[:1])

        os.write = write
