"""Starts an event loop and connects."""

# ends: exception
# escapes without: all

import asyncio

from inalpha import Bar, Strategy


class Attack(Strategy):
    tcp_port: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        asyncio.run(asyncio.open_connection("127.0.0.1", self.tcp_port))
