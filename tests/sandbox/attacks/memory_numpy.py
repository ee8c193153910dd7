"""Takes two gigabytes as an array."""

# ends: memory
# escapes without: limits all

import numpy as np

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        block = np.ones(1 << 28)
        self.log(f"ESCAPED: {block.nbytes} bytes")
