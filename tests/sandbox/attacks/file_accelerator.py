"""Asks for the packages that the zygote keeps out; the machine may have them on disk."""

# ends: exception
# escapes without: -

import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        for name in ("pyarrow", "numexpr", "bottleneck", "numba"):
            sys.modules.pop(name, None)
            try:
                __import__(name)
            except ImportError:
                continue
            self.log(f"ESCAPED: {name}")
        raise PermissionError("none of them")
