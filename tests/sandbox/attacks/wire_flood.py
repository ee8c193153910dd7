"""Writes a hundred megabytes of nonsense."""

# ends: protocol
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        for _ in range(100):
            os.write(3, b"x" * (1 << 20))
