"""Walks from a bar to the modules by a format string alone."""

# ends: - exception
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(f"{self.__class__.__init__.__globals__}")
