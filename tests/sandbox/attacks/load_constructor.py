"""Forks in its constructor."""

# ends: load
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def __init__(self) -> None:
        super().__init__()
        os.fork()

    def on_bar(self, bar: Bar) -> None:
        pass
