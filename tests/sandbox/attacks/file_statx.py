"""The same by the newer call, from C."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        path = f"{self.canary_dir}/secret.txt".encode()
        if libc.syscall(332, -100, path, 0, 0x7FF, ctypes.create_string_buffer(256)) != 0:
            raise PermissionError(ctypes.get_errno())
        self.log("ESCAPED: statx answered")
