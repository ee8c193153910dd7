"""Catches everything that would end it."""

# ends: deadline
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        while True:
            try:
                while True:
                    pass
            except BaseException:
                pass
