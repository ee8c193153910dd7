"""Sets the ledger's times back; Landlock does not cover them."""

# ends: exception
# escapes without: seccomp all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.utime(f"{self.canary_dir}/ledger.db", (0, 0))
