"""Asks for the session's keyring."""

# ends: sigsys
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        libc.syscall(250, 0, -3, 0)
        self.log("ESCAPED: the kernel answered")
