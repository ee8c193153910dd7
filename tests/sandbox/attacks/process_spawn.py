"""Starts a program by posix_spawn."""

# ends: exception
# escapes without: all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        pid = os.posix_spawn("/bin/sh", ["sh", "-c", f"echo here > {self.canary_dir}/out/left"], {})
        os.waitpid(pid, 0)
