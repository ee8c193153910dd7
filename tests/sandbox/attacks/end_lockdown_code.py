"""Ends with the code of a failed lockdown, posing as the host's own fault."""

# ends: exit
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os._exit(97)
