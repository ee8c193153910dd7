"""Brings two strategies."""

# ends: load
# escapes without: -

from inalpha import Bar, Strategy


class One(Strategy):
    def on_bar(self, bar: Bar) -> None:
        pass


class Two(Strategy):
    def on_bar(self, bar: Bar) -> None:
        pass
