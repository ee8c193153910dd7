"""Calls by the 32-bit gate, where the numbers mean other calls."""

# ends: exception
# escapes without: seccomp all

import ctypes
import mmap

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        rights = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=rights)
        page.write(bytes.fromhex("b814000000cd80c3"))
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        self.log(f"ESCAPED: {ctypes.CFUNCTYPE(ctypes.c_int)(address)()}")
