"""Backtracks for ever in C, where no signal handler of Python's would run."""

# ends: deadline
# escapes without: -

import re

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        re.match(r"(a+)+$", "a" * 40 + "b")
