"""Loads a library that nobody has loaded before."""

# ends: exception
# escapes without: all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(f"ESCAPED: {ctypes.CDLL('libBrokenLocale.so.1')}")
