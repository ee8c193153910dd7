"""Raises with a text of ten megabytes."""

# ends: exception
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        raise ValueError("x" * 10_000_000)
