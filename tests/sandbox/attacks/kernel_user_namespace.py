"""Makes a user namespace to regain capabilities."""

# ends: sigsys
# escapes without: all seccomp

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        if ctypes.CDLL(None).unshare(0x10000000) == 0:
            self.log("ESCAPED: namespace")
