"""Mounts a file system."""

# ends: sigsys
# escapes without: -

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        if ctypes.CDLL(None).mount(b"none", f"{self.canary_dir}/out".encode(), b"tmpfs", 0, None) == 0:
            self.log("ESCAPED: mounted")
