"""Builds a text of two gigabytes."""

# ends: memory
# escapes without: limits all

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        text = "x" * (2 << 30)
        self.log(f"ESCAPED: {len(text)}")
