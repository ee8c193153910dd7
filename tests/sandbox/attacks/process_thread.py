"""Starts a thread that would work between bars."""

# ends: exception
# escapes without: all

import threading

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        thread = threading.Thread(target=int)
        thread.start()
        self.log(f"ESCAPED: {thread.name} ran")
