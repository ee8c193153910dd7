"""Watches a folder for the comings and goings of others."""

# ends: exception
# escapes without: all

import ctypes

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        fd = libc.inotify_init1(0)
        if fd < 0:
            raise PermissionError(ctypes.get_errno())
        self.log(f"ESCAPED: {libc.inotify_add_watch(fd, self.canary_dir.encode(), 2)}")
