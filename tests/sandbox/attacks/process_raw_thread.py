"""Starts a thread without the threading module."""

# ends: exception
# escapes without: all

import _thread
import time

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        done = []
        _thread.start_new_thread(done.append, (1,))
        time.sleep(0.1)
        self.log(f"ESCAPED: {done}")
