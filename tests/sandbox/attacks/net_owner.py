"""Has the kernel signal a bystander when its socket becomes readable."""

# ends: exception
# escapes without: seccomp all

import fcntl

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        fcntl.fcntl(3, fcntl.F_SETOWN, self.victim_pid)
        self.log("ESCAPED: owner set")
