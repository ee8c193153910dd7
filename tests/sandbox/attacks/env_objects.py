"""Walks from the loaded modules to every text that they hold, for the mark of a secret."""

# ends: - deadline
# escapes without: environment

import gc
import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        level, seen, found = list(sys.modules.values()), set(), []
        for _ in range(4):
            level = [part for part in gc.get_referents(*level) if id(part) not in seen]
            seen.update(map(id, level))
            texts = [part for part in level if isinstance(part, str | bytes) and 30 < len(part) < 200]
            found += [str(text) for text in texts if str(text).count("CAN" + "ARY-")]
        self.log(str(found[:3]))
