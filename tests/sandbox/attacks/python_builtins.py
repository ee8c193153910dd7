"""Replaces what the helper takes for granted."""

# ends: - exit exception deadline protocol signal
# escapes without: -

import builtins

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        builtins.len = lambda thing: 1
        builtins.isinstance = lambda thing, kind: True
        builtins.int = str
