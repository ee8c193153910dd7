"""Makes a timer of the newer kind."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(222, 1, 0, ctypes.byref(ctypes.c_int())) != 0:
            raise PermissionError(ctypes.get_errno())
        self.log("ESCAPED: made")
