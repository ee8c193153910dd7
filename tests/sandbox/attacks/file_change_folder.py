"""Moves its working folder, which Landlock allows."""

# ends: exception
# escapes without: seccomp all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.chdir(self.canary_dir)
        self.log("ESCAPED: moved")
