"""Lowers a bystander's claim on the disk."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(251, 1, self.victim_pid, 3 << 13) != 0:
            raise PermissionError(ctypes.get_errno())
        self.log("ESCAPED: lowered")
