"""Opens the ledger to everybody; Landlock does not cover modes."""

# ends: exception
# escapes without: seccomp all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.chmod(f"{self.canary_dir}/ledger.db", 0o777)
