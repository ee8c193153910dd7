"""Connects to a Unix socket, as the broker's would be."""

# ends: exception
# escapes without: all

import socket

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(f"{self.canary_dir}/canary.sock")
            link.sendall(b"hello")
