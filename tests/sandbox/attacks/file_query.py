"""Reads the ledger from inside a pandas query."""

# ends: exception
# escapes without: all

import pandas as pd

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = "/tmp"

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        frame, path = pd.DataFrame({"a": [1]}), self.canary_dir + "/ledger.db"  # noqa: F841
        told = frame.query(
            "a == 1 and @pd.io.common.get_handle(@path, 'rb').handle.readable()", engine="python"
        )
        self.log(f"ESCAPED: {len(told)} row")
