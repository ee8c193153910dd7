"""Reads a text that nests a hundred thousand deep."""

# ends: exception
# escapes without: -

import json

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        json.loads("[" * 100_000)
