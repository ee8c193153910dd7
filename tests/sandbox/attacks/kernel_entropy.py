"""Asks for entropy that no replay could repeat."""

# ends: exception
# escapes without: all seccomp

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(f"ESCAPED: {os.urandom(4).hex()}")
