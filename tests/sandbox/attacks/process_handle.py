"""Opens a handle on a bystander."""

# ends: exception
# escapes without: all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(f"ESCAPED: {os.pidfd_open(self.victim_pid)}")
