"""Writes a number of millions of digits."""

# ends: deadline
# escapes without: -

import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        sys.set_int_max_str_digits(0)
        str((1 << 60_000_000) - 1)
