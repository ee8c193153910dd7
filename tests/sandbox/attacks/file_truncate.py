"""Empties the ledger by path; no descriptor is needed."""

# ends: exception
# escapes without: all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.truncate(f"{self.canary_dir}/ledger.db", 0)
