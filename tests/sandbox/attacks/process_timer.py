"""Sets a timer whose handler would run between bars."""

# ends: exception
# escapes without: seccomp all

import signal

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        signal.setitimer(signal.ITIMER_REAL, 30)
        self.log("ESCAPED: set")
