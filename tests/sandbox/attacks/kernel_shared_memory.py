"""Makes shared memory that outlives it."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        segment = libc.shmget(0, 4096, 0o1600)
        if segment < 0:
            raise PermissionError(ctypes.get_errno())
        libc.shmctl(segment, 0, None)
        self.log("ESCAPED: made")
