"""Asks on which processors another process may run: a census of the machine."""

# ends: exception
# escapes without: seccomp all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 1

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        assert os.sched_getaffinity(0)
        self.log(f"ESCAPED: it lives, {os.sched_getaffinity(self.victim_pid)}")
