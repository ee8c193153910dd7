"""Starts a shell."""

# ends: exception
# escapes without: all

import subprocess

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        subprocess.run(["/bin/sh", "-c", f"echo here > {self.canary_dir}/out/shell"], check=True)
