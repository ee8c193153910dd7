"""Logs objects that are no text."""

# ends: - exception protocol
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(self)
        self.log(b"x")
        self.log(float("nan"))
