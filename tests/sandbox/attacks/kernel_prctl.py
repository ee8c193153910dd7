"""Makes itself readable to its neighbours again."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(4, 1, 0, 0, 0) != 0:
            raise PermissionError(ctypes.get_errno())
        self.log("ESCAPED: dumpable")
