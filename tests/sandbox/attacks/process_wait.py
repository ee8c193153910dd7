"""Waits for children that it should not have."""

# ends: exception
# escapes without: seccomp all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            self.log("ESCAPED: wait answered")
