"""Loops for ever in Python."""

# ends: deadline
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        while True:
            pass
