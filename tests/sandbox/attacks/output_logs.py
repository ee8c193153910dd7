"""Logs a hundred thousand lines."""

# ends: - exception memory
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        for n in range(100_000):
            self.log(f"line {n}")
