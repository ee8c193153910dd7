"""The same through the variant with a key, past a check of mprotect alone."""

# ends: exception
# escapes without: seccomp all

import ctypes
import mmap

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        if libc.syscall(329, ctypes.c_void_p(address), 4096, 5, -1) != 0:
            raise PermissionError(ctypes.get_errno())
        self.log("ESCAPED: executable")
