"""Changes its own priority."""

# ends: exception
# escapes without: seccomp all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(f"ESCAPED: {os.nice(3)}")
