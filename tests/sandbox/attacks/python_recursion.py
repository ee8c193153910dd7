"""Lifts the interpreter's own guard and recurses until the stack ends."""

# ends: signal exception memory deadline
# escapes without: -

import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        sys.setrecursionlimit(10**9)

        def deeper(n):
            return [deeper(n + 1), str(n)]

        deeper(0)
