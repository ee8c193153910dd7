"""Orders decimal signals that raise when compared."""

# ends: - exception
# escapes without: -

import decimal

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.buy(decimal.Decimal("sNaN"))
