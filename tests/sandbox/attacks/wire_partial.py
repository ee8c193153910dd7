"""Sends half a frame and waits."""

# ends: deadline
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
            if fd == 3:
                real(fd, data[: len(data) // 2])
                while True:
                    time.sleep(60)
            return real(fd, data)

        os.write = write
