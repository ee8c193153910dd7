"""Lets numpy read the secret."""

# ends: exception
# escapes without: all

import numpy as np

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(np.fromfile(f"{self.canary_dir}/secret.txt", dtype="u1").tobytes().decode())
