"""Fast cross: long while the 10-bar average is above the 30-bar average."""

from inalpha import SMA, Bar, Strategy


class FastCross(Strategy):
    """One position at a time, about 5 % of equity."""

    fast: int = 10
    slow: int = 30
    percent: int = 5

    def on_start(self) -> None:
        self.quick = self.indicator(SMA(self.fast))
        self.calm = self.indicator(SMA(self.slow))

    def on_bar(self, bar: Bar) -> None:
        if not self.calm.ready or self.orders.entries:
            return
        above = self.quick.value > self.calm.value
        if above and self.position.is_flat:
            size = self.quantity(percent=self.percent)
            if size > 0:
                self.buy(size, reason=f"{self.fast}-bar average above {self.slow}-bar average")
        elif not above and self.position.is_long:
            self.close(reason=f"{self.fast}-bar average below {self.slow}-bar average")
