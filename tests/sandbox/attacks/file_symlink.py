"""Leaves a link for somebody else to follow."""

# ends: exception
# escapes without: all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.symlink("/etc/passwd", f"{self.canary_dir}/out/link")
