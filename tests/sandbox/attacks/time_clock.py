"""Times a neighbour's bars by watching the clock for its whole deadline."""

# ends: deadline
# escapes without: -

import time

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        gaps, last = [], time.perf_counter_ns()
        while True:
            now = time.perf_counter_ns()
            if now - last > 100_000:
                gaps.append(now - last)
            last = now
