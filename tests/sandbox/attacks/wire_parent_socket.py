"""Looks in the callers' frames for the zygote's control socket."""

# ends: -
# escapes without: -

import socket
import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        frame = sys._getframe()
        while frame is not None:
            for value in frame.f_locals.values():
                if isinstance(value, socket.socket):
                    try:
                        value.send(b'{"id":1}')
                        self.log("ESCAPED: the zygote was asked")
                    except OSError:
                        continue
            frame = frame.f_back
