"""Makes semaphores."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        group = libc.semget(0, 1, 0o1600)
        if group < 0:
            raise PermissionError(ctypes.get_errno())
        libc.semctl(group, 0, 0)
        self.log("ESCAPED: made")
