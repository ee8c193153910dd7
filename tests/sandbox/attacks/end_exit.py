"""Ends itself, posing as a clean end."""

# ends: exit
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os._exit(0)
