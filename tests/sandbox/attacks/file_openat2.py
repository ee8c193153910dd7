"""Opens by the newer call that an older list of forbidden ones forgets."""

# ends: exception
# escapes without: all

import ctypes
import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        how = ctypes.create_string_buffer(24)
        fd = libc.syscall(437, -100, f"{self.canary_dir}/secret.txt".encode(), how, 24)
        if fd < 0:
            raise PermissionError(ctypes.get_errno())
        self.log(os.read(fd, 64).decode())
