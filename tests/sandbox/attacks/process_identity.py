"""Sets its user id again."""

# ends: exception
# escapes without: seccomp all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.setuid(os.getuid())
        self.log("ESCAPED: set")
