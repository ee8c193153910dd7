"""Opens a socket to the hypervisor."""

# ends: exception
# escapes without: all

import socket

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(f"ESCAPED: {socket.socket(40, socket.SOCK_STREAM, 0)}")
