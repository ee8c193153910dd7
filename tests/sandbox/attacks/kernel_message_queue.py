"""Makes a message queue."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        queue = libc.msgget(0, 0o1600)
        if queue < 0:
            raise PermissionError(ctypes.get_errno())
        libc.msgctl(queue, 0, None)
        self.log("ESCAPED: made")
