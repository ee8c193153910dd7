"""Takes over the exception hook and leaves work for the interpreter's end."""

# ends: exception
# escapes without: -

import atexit
import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        sys.excepthook = lambda *_: open(f"{self.canary_dir}/out/left", "w")  # noqa: SIM115
        atexit.register(sys.excepthook)
        raise SystemExit(3)
