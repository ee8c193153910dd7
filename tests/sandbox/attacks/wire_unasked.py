"""Sends a second answer a moment after the first."""

# ends: protocol
# escapes without: -

import os
import time

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        real = os.write

        def write(fd, data):
            sent = real(fd, data)
            if fd == 3:
                time.sleep(0.02)
                real(fd, data)
            return sent

        os.write = write
