"""Starts a shell from C, which Python does not see."""

# ends: -
# escapes without: all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        ctypes.CDLL(None).system(f"echo here > {self.canary_dir}/out/left".encode())
