"""Starts a worker process through the standard library."""

# ends: exception
# escapes without: all

import multiprocessing
import time

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1,))
        worker.start()
        self.log(f"ESCAPED: {worker.pid}")
