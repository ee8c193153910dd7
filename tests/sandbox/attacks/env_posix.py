"""Takes the bytes that were handed over at the start."""

# ends: -
# escapes without: environment

import posix

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(str(posix.environ))
