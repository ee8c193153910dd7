"""Signals its own process group, where a host might be."""

# ends: exception
# escapes without: seccomp all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.killpg(0, 0)
        self.log("ESCAPED: signalled")
