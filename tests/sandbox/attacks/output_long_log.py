"""Logs one line of ten megabytes."""

# ends: - exception memory
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log("x" * 10_000_000)
