"""Sets up io_uring, which works behind a filter's back."""

# ends: sigsys
# escapes without: all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        fd = ctypes.CDLL(None).syscall(425, 1, ctypes.create_string_buffer(120))
        if fd >= 0:
            self.log("ESCAPED: io_uring")
