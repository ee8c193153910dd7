"""Locks the database under the daemon."""

# ends: exception
# escapes without: all

import fcntl
import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        fd = os.open(f"{self.canary_dir}/ledger.db", os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.log("ESCAPED: locked")
