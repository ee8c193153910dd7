"""Fills a table with keys that all collide."""

# ends: deadline
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return

        class Same(int):
            def __hash__(self):
                return 1

        table = {Same(n): n for n in range(100_000)}
        self.log(str(len(table)))
