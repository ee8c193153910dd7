"""Raises the keyboard's interrupt."""

# ends: exception
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        raise KeyboardInterrupt
