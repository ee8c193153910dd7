"""Lifts every limit in the helper's modules, then orders a thousand times."""

# ends: protocol memory exception
# escapes without: -

import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        for module in list(sys.modules.values()):
            for name in ("MAX_INTENTS", "MAX_LOGS", "MAX_LOG_BYTES", "MAX_FRAME"):
                if hasattr(module, name):
                    setattr(module, name, 10**9)
        for _ in range(1000):
            self.buy("1")
