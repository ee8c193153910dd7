"""Lifts its own limit of descriptors back to what the kernel calls hard."""

# ends: exception
# escapes without: all

import resource

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        hard = max(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 64)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.log("ESCAPED: limit lifted")
