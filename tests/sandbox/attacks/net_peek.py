"""Looks into its own socket by recv, which allows flags that read does not."""

# ends: -
# escapes without: seccomp all

import ctypes
import errno

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        libc.recv(3, ctypes.create_string_buffer(1), 1, 0x42)
        if ctypes.get_errno() == errno.EAGAIN:
            self.log("ESCAPED: recv answered")
