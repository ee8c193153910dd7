"""Places a hundred thousand orders in one bar."""

# ends: exception protocol memory deadline
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        for _ in range(100_000):
            self.buy("1")
