"""Prints bytes that are no text."""

# ends: -
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.write(1, bytes(range(256)) * 16)
