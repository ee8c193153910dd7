"""Hides data in an extended attribute; Landlock does not cover those."""

# ends: exception
# escapes without: seccomp all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.setxattr(f"{self.canary_dir}/ledger.db", "user.note", b"here")
