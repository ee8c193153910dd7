"""Makes an anonymous file in memory."""

# ends: exception
# escapes without: all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(f"ESCAPED: {os.memfd_create('x')}")
