"""Computes with a billion digits."""

# ends: memory exception deadline
# escapes without: -

import decimal

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        with decimal.localcontext(decimal.Context(prec=10**9, Emax=10**17)):
            self.log(str(decimal.Decimal(1) / 3)[:10])
