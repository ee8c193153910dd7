"""Asks only whether a file exists."""

# ends: -
# escapes without: seccomp all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        if os.access(f"{self.canary_dir}/secret.txt", os.F_OK):
            self.log("ESCAPED: it exists")
