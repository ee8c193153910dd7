"""Searches for what an earlier run left in the process."""

# ends: -
# escapes without: -

import gc

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        mine = type(self).__name__
        left = [o for o in gc.get_objects() if isinstance(o, type) and o.__module__ == "strategy"]
        if [kind.__name__ for kind in left if kind.__name__ not in (mine, "Attack")]:
            self.log(f"ESCAPED: {left}")
