"""Sets an alarm."""

# ends: -
# escapes without: seccomp all

import signal

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        signal.alarm(30)
        if 0 < signal.alarm(0) <= 30:
            self.log("ESCAPED: set")
