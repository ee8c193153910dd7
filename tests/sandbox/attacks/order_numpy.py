"""Orders numpy's own kinds of nothing."""

# ends: - exception
# escapes without: -

import numpy as np

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.buy(np.float64("nan"))
        self.buy(np.datetime64("NaT"))
