"""Computes a power that nothing can interrupt."""

# ends: deadline memory
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(str(9**9**9)[:9])
