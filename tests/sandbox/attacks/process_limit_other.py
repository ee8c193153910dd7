"""Sets a bystander's limit of processor time."""

# ends: exception
# escapes without: seccomp all

import resource

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        resource.prlimit(self.victim_pid, resource.RLIMIT_CPU, (3600, 3600))
