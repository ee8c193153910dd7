"""Reads the ledger through the operating system's own call."""

# ends: exception
# escapes without: all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        fd = os.open(f"{self.canary_dir}/ledger.db", os.O_RDONLY)
        self.log(os.read(fd, 100).decode())
