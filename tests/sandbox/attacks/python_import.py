"""Imports a module that it has just written down in words only."""

# ends: exception
# escapes without: -

import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        sys.path.insert(0, f"{self.canary_dir}/out")
        import left  # noqa: F401
