"""Opens a raw socket to forge packets."""

# ends: exception
# escapes without: -

import socket

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(f"ESCAPED: {socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)}")
