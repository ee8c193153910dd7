"""Crosses a table with itself."""

# ends: memory
# escapes without: limits all

import pandas as pd

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        table = pd.DataFrame({"a": range(5_000)})
        self.log(f"ESCAPED: {len(table.merge(table, how='cross'))} rows")
