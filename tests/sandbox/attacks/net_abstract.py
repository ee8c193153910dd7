"""Connects to an abstract Unix socket, which no file permission guards."""

# ends: exception
# escapes without: all

import socket

from inalpha import Bar, Strategy


class Attack(Strategy):
    abstract_name: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        with socket.socket(socket.AF_UNIX) as link:
            link.connect("\0" + self.abstract_name)
            link.sendall(b"hello")
