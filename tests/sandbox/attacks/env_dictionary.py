"""Prints its environment."""

# ends: -
# escapes without: environment

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        for name, value in os.environ.items():
            self.log(f"{name}={value}")
