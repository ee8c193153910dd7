"""Fetches an address with the standard library's client."""

# ends: exception
# escapes without: all

import urllib.request

from inalpha import Bar, Strategy


class Attack(Strategy):
    tcp_port: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        urllib.request.urlopen(f"http://127.0.0.1:{self.tcp_port}/", timeout=0.2)
