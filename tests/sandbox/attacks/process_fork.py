"""Forks a process that outlives the strategy."""

# ends: exception
# escapes without: all

import os
import time

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        if os.fork() == 0:
            while True:
                time.sleep(1)
        time.sleep(0.05)
