"""Sends a harmless signal to see who is there."""

# ends: exception
# escapes without: all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.kill(self.victim_pid, 0)
        self.log("ESCAPED: it is there")
