"""Computes a factorial in C."""

# ends: deadline memory
# escapes without: -

import math

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        math.factorial(10**7)
