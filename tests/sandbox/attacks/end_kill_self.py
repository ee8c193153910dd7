"""The same by its own pid."""

# ends: exception
# escapes without: seccomp all

import os
import signal

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        os.kill(os.getpid(), signal.SIGKILL)
