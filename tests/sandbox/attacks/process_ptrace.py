"""Attaches to a bystander by ptrace."""

# ends: sigsys
# escapes without: all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        if ctypes.CDLL(None).ptrace(16, self.victim_pid, 0, 0) == 0:
            self.log("ESCAPED: attached")
            ctypes.CDLL(None).ptrace(17, self.victim_pid, 0, 0)
