"""Maps a gigabyte and touches it."""

# ends: exception memory
# escapes without: limits all

import mmap

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        block = mmap.mmap(-1, 1 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for position in range(0, 1 << 30, 4096):
            block[position] = 1
        self.log("ESCAPED: a gigabyte")
