"""Closes every descriptor, the host's socket among them."""

# ends: protocol exit
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.closerange(0, 1024)
        while True:
            pass
