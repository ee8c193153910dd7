"""Lets its answer go out, then works on between bars."""

# ends: between
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        real = os.write

        def write(fd, data):
            sent = real(fd, data)
            while fd == 3:
                pass
            return sent

        os.write = write
