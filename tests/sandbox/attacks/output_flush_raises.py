"""Replaces stdout by something whose flush ends the helper."""

# ends: exit exception -
# escapes without: -

import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return

        class Broken:
            def write(self, text):
                return len(text)

            def flush(self):
                raise SystemExit(0)

        sys.stdout = Broken()
