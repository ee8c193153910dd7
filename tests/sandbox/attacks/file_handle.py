"""Opens by handle, past every path check."""

# ends: sigsys
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        libc.syscall(304, 0, ctypes.create_string_buffer(64), 0)
        self.log(f"ESCAPED: the kernel answered {ctypes.get_errno()}")
