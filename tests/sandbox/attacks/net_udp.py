"""Sends one datagram."""

# ends: exception
# escapes without: all

import socket

from inalpha import Bar, Strategy


class Attack(Strategy):
    udp_port: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.sendto(b"hello", ("127.0.0.1", self.udp_port))
