"""Has an on_bar that never runs, as nobody iterates it."""

# ends: load
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar):
        yield bar
