"""Alters the flags of the socket."""

# ends: exception
# escapes without: seccomp all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.set_blocking(3, False)
        os.set_blocking(3, True)
        self.log("ESCAPED: set")
