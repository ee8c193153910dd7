"""An honest strategy: one order on its first bar, a line a bar."""

from inalpha import Bar, Strategy


class Bystander(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence == 0:
            self.buy("1", reason="the red team's honest order")
        self.log(f"bar {bar.sequence}")
