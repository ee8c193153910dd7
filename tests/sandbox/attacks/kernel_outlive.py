"""Takes back the signal that ends it with its host."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        if ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) != 0:
            raise PermissionError
        self.log("ESCAPED: it would outlive the host")
