"""Frees a descriptor first, in case the limit counts only the open ones."""

# ends: exception
# escapes without: all

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.close(0)
        self.log(os.read(os.open(f"{self.canary_dir}/secret.txt", os.O_RDONLY), 64).decode())
