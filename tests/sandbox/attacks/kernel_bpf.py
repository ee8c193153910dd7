"""Calls bpf, where many kernel faults live."""

# ends: sigsys
# escapes without: -

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        ctypes.CDLL(None).syscall(321, 0, ctypes.create_string_buffer(120), 120)
