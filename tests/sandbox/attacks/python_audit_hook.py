"""Adds an audit hook that sees what the helper does later."""

# ends: -
# escapes without: -

import os
import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return

        def hook(event, arguments):
            if "CAN" + "ARY" in str(arguments):
                os.write(1, str(arguments).encode())

        sys.addaudithook(hook)
