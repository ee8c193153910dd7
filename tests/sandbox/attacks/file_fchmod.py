"""Changes the mode of a descriptor that it rightly holds."""

# ends: exception
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.fchmod(1, 0o777)
        self.log("ESCAPED: changed")
