"""Writes to stderr without end."""

# ends: output
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        while True:
            os.write(2, b"x" * 4096)
