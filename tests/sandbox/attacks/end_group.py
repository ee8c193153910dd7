"""Raises a group of a thousand exceptions."""

# ends: exception
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        raise ExceptionGroup("many", [ValueError(n) for n in range(1000)])
