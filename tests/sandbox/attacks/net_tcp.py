"""Connects to a listener on this machine."""

# ends: exception
# escapes without: all

import socket

from inalpha import Bar, Strategy


class Attack(Strategy):
    tcp_port: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        with socket.create_connection(("127.0.0.1", self.tcp_port), 1) as link:
            link.sendall(b"hello")
