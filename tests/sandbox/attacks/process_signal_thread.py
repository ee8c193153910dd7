"""Names another process in the thread's variant of kill."""

# ends: exception
# escapes without: all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(234, self.victim_pid, self.victim_pid, 0) != 0:
            raise PermissionError(ctypes.get_errno())
        self.log("ESCAPED: signalled")
