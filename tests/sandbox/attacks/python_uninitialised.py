"""Reads memory that was handed out without being cleared."""

# ends: -
# escapes without: -

import numpy as np

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        block = np.empty(1 << 22, dtype="u1").tobytes()
        mark = block.find(b"CAN" + b"ARY-")
        self.log(block[mark : mark + 39].decode() if mark >= 0 else "nothing")
