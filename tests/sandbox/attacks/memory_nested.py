"""Shows a list that holds itself a hundred thousand times over."""

# ends: exception
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        nest = []
        for _ in range(100_000):
            nest = [nest]
        self.log(repr(nest))
