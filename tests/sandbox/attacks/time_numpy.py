"""Stays in numpy's C code."""

# ends: deadline memory
# escapes without: -

import numpy as np

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        square = np.ones((700, 700))
        while True:
            np.linalg.svd(square)
