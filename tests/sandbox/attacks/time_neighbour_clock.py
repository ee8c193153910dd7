"""Reads how long another process has computed: a clock may name any process by its number."""

# ends: exception
# escapes without: seccomp all

import time

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 1

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        seconds = time.clock_gettime((~self.victim_pid << 3) | 2)
        self.log(f"ESCAPED: the neighbour has used {seconds} s")
