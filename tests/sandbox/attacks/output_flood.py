"""Prints without end."""

# ends: output
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        while True:
            print("x" * 1000)  # noqa: T201
