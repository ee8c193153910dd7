"""Gives the ledger a second name in a folder that anyone may write."""

# ends: exception
# escapes without: all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.link(f"{self.canary_dir}/ledger.db", f"{self.canary_dir}/out/ledger")
