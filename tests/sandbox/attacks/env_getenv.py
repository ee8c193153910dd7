"""Asks for the name that a credential would have."""

# ends: -
# escapes without: environment

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        getenv = ctypes.CDLL(None).getenv
        getenv.restype = ctypes.c_char_p
        self.log(str(getenv(b"INALPHA_TOKEN")))
