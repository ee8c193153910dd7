"""Asks which pages of a shared library are in memory: what the neighbours have just used."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        page = ctypes.cast(libc.printf, ctypes.c_void_p).value & ~4095
        seen = ctypes.create_string_buffer(16)
        if libc.mincore(ctypes.c_void_p(page), ctypes.c_size_t(4096 * 16), seen):
            raise PermissionError(ctypes.get_errno(), "refused")
        self.log(f"ESCAPED: {seen.raw!r}")
