"""Memory that grows down like a stack, which no limit of data counts."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy

PRIVATE_ANONYMOUS, GROWS_DOWN = 0x22, 0x100


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        place = libc.mmap(None, 64 << 10, 3, PRIVATE_ANONYMOUS | GROWS_DOWN, -1, 0)
        if place in (None, 2**64 - 1):
            raise PermissionError(ctypes.get_errno())
        self.log("ESCAPED: mapped")
