"""Has the traceback machinery fetch the secret's first line."""

# ends: -
# escapes without: all

import linecache

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log("".join(linecache.getlines(f"{self.canary_dir}/secret.txt")))
