"""Cancels the order of another run."""

# ends: - exception protocol
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.cancel("run-1:0:0")
