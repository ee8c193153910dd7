"""Replaces stdout by something whose flush never returns."""

# ends: deadline
# escapes without: -

import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return

        class Stuck:
            def write(self, text):
                return len(text)

            def flush(self):
                while True:
                    pass

        sys.stdout = Stuck()
