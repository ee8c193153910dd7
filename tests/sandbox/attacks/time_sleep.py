"""Sleeps past its deadline."""

# ends: deadline
# escapes without: -

import time

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        time.sleep(3600)
