"""Kills a bystander of the same user."""

# ends: exception
# escapes without: all

import os
import signal

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.kill(self.victim_pid, signal.SIGKILL)
