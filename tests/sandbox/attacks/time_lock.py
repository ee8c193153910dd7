"""Waits for a lock that it holds."""

# ends: deadline
# escapes without: -

import threading

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
