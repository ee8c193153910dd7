"""Changes its root."""

# ends: sigsys
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.chroot("/tmp")
        self.log("ESCAPED: moved")
