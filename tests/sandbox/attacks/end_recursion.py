"""Recurses until the C stack ends."""

# ends: signal exception memory deadline
# escapes without: -

import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        sys.setrecursionlimit(10**9)

        def deeper():
            return [deeper() for _ in range(1)]

        deeper()
