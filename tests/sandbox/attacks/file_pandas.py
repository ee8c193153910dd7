"""Lets pandas' own parser in C read the secret."""

# ends: exception
# escapes without: all

import pandas as pd

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(str(list(pd.read_csv(f"{self.canary_dir}/secret.txt", header=None)[0])))
