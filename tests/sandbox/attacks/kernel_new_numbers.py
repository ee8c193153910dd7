"""Calls that came after most filters were written: mounts and security modules by number, a page's cache state."""

# ends: exception
# escapes without: seccomp all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        ids, size = (ctypes.c_uint64 * 64)(), ctypes.c_uint32(512)
        root = (ctypes.c_uint64 * 4)(32, 2**64 - 1, 0, 0)
        found = {
            "lsm_list_modules": libc.syscall(461, ids, ctypes.byref(size), 0),
            "listmount": libc.syscall(458, root, ids, 64, 0),
            "futex_wake": libc.syscall(454, ids, 1, 1, 2),
        }
        reached = {name: value for name, value in found.items() if value >= 0}
        if not reached:
            raise PermissionError(ctypes.get_errno(), "all of them refused")
        self.log(f"ESCAPED: {reached}")
