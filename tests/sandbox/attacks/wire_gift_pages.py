"""Gives pages of its own to the output pipe, to change them after the host has begun to read."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        text = ctypes.create_string_buffer(b"a line\n" * 8)
        vector = (ctypes.c_size_t * 2)(ctypes.addressof(text), 7)
        given = libc.vmsplice(1, vector, 1, 0)
        if given < 0:
            raise PermissionError(ctypes.get_errno(), "refused")
        self.log(f"ESCAPED: {given} bytes given")
