"""Becomes another program."""

# ends: exception
# escapes without: all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.execv("/bin/sh", ["sh", "-c", f"echo here > {self.canary_dir}/out/left"])
