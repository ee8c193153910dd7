"""Raises inside the helper, after on_bar has returned."""

# ends: exit exception deadline protocol
# escapes without: -

import ctypes
import threading

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(threading.main_thread().ident), ctypes.py_object(SystemExit)
        )
