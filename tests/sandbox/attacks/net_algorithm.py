"""Opens the kernel's crypto socket, a rich source of faults."""

# ends: exception
# escapes without: -

import socket

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(f"ESCAPED: {socket.socket(38, socket.SOCK_SEQPACKET, 0)}")
