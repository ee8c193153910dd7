"""Grows a small mapping to a gigabyte."""

# ends: exception
# escapes without: limits all

import mmap

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        block = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        block.resize(1 << 30)
        self.log(f"ESCAPED: {len(block)} bytes")
