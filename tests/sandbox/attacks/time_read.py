"""Reads its own socket and waits for ever."""

# ends: deadline
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.read(3, 1)
