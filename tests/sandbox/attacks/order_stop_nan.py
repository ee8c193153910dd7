"""Gives a stop price that is no number."""

# ends: - exception
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.buy("1", stop_loss=float("nan"))
