"""Ends the process while it loads."""

# ends: exit
# escapes without: -

import os

from inalpha import Bar, Strategy

os._exit(0)


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        pass
