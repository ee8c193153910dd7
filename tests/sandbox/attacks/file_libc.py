"""Reads the secret through the C library, where no audit hook of Python's looks."""

# ends: exception
# escapes without: all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        fd = libc.open(f"{self.canary_dir}/secret.txt".encode(), 0)
        if fd < 0:
            raise PermissionError(ctypes.get_errno())
        buffer = ctypes.create_string_buffer(64)
        libc.read(fd, buffer, 63)
        self.log(buffer.value.decode())
