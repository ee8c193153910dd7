"""Asks the resolution of another process's clock, which tells whether that process lives."""

# ends: exception
# escapes without: seccomp all

import time

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 1

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(f"ESCAPED: it lives, {time.clock_getres((~self.victim_pid << 3) | 2)}")
