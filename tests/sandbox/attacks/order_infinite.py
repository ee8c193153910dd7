"""Orders without end."""

# ends: -
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.buy(float("inf"))
