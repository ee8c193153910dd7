"""Makes a call under the x32 numbers, which a careless filter misses."""

# ends: sigsys
# escapes without: -

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        pid = ctypes.CDLL(None).syscall(0x40000000 | 39)
        if pid > 0:
            self.log(f"ESCAPED: {pid}")
