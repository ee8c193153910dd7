"""Waits for several things at once."""

# ends: exception
# escapes without: seccomp all

import select

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(f"ESCAPED: {select.select([3], [], [], 0)}")
