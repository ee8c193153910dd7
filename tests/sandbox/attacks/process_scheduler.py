"""Puts a bystander into the idle class."""

# ends: exception
# escapes without: seccomp all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.sched_setscheduler(self.victim_pid, os.SCHED_IDLE, os.sched_param(0))
        self.log("ESCAPED: idle")
