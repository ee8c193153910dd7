"""Forks as often as it is let (at most 32 times)."""

# ends: exception
# escapes without: all

import os
import time

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        for _ in range(32):
            if os.fork() == 0:
                time.sleep(1)
                os._exit(0)
