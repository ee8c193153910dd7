"""Nests expressions until the parser gives up."""

# ends: load
# escapes without: -

from inalpha import Bar, Strategy

DEPTH = eval("(" * 3000 + ")" * 3000)


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        pass
