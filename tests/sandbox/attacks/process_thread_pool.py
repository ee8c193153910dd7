"""Works in a pool of threads."""

# ends: exception
# escapes without: all

import concurrent.futures

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.log(f"ESCAPED: {sum(pool.map(int, range(8)))}")
