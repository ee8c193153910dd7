"""Leaks by looking a name up."""

# ends: exception
# escapes without: -

import socket

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(f"ESCAPED: {socket.getaddrinfo('secret.localhost', 80)}")
