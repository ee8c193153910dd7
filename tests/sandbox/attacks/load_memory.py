"""Makes a list of a billion in its module."""

# ends: load memory
# escapes without: -

from inalpha import Bar, Strategy

block = [0] * 10**9


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        pass
