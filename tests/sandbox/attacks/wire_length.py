"""Announces four gigabytes."""

# ends: protocol
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.write(3, b"\xff\xff\xff\xff{}")
