"""Calls its class something that its source does not hold."""

# ends: protocol load
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        pass


Attack.__name__ = "Approved"
