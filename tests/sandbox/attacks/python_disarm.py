"""Turns off the collector and finalises objects that act when they die."""

# ends: -
# escapes without: all

import gc

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return

        class Last:
            def __del__(self):
                open(f"{target}/out/left", "w")  # noqa: SIM115

        target = self.canary_dir
        gc.disable()
        Last()
