"""Waits for a caller."""

# ends: exception
# escapes without: all

import socket

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        door = socket.socket()
        door.bind(("127.0.0.1", 0))
        door.listen()
        self.log(f"ESCAPED: {door.getsockname()}")
