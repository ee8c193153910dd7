"""Takes a descriptor out of another process."""

# ends: sigsys
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        libc.syscall(438, -1, 0, 0)
        self.log(f"ESCAPED: the kernel answered {ctypes.get_errno()}")
