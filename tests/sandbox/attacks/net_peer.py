"""Asks its socket who is at the other end."""

# ends: -
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        who, size = ctypes.create_string_buffer(12), ctypes.c_int(12)
        if libc.getsockopt(3, 1, 17, who, ctypes.byref(size)) == 0:
            self.log(f"ESCAPED: {who.raw!r}")
