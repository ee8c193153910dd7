"""Makes a pair of connected sockets."""

# ends: exception
# escapes without: all

import socket

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(f"ESCAPED: {socket.socketpair()}")
