"""Closes its socket and lives on."""

# ends: protocol
# escapes without: -

import os
import time

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.close(3)
        while True:
            time.sleep(1)
