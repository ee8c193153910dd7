"""Calls its class by a name that only looks like another."""

# ends: -
# escapes without: -

from inalpha import Bar, Strategy


class Аttack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        pass
