"""Fills the holes that the warm-up left in the heap, so that runners write to dense pages of their own.

A runner that puts an object into a hole copies the whole page around it; through some thousand holes that is
megabytes. The fillers stay in the zygote's pages, which all runners share and none writes.
"""

from __future__ import annotations

import ctypes

_ALIGNMENT, _SMALL = 16, 512  # CPython's own allocator: objects up to 512 bytes in classes of 16
_POOL = 16 << 10
_BYTES_HEADER, _FLOAT = 33, 32
# Largest first, then each size that the allocator keeps apart: a small block would else split a large hole.
_LIBC_SIZES = (262_144, 131_072, 65_536, 32_768, 16_384, 8192, *range(4096, 23, -_ALIGNMENT))
_MOST = 40_000

_fillers: list[bytes | float] = []
_blocks: list[int] = []
_arrays: list[object] = []


def plug_holes() -> int:
    """Fill them; returns the bytes that it took."""
    return _plug_numpy() + _plug_python() + _plug_libc()


def _plug_numpy() -> int:
    """numpy keeps up to seven freed blocks of each size below 1 KiB for itself, scattered as they came."""
    import numpy as np

    for size in range(1, 1024):
        _arrays.extend(np.empty(size, dtype="u1") for _ in range(7))
    return 7 * sum(range(1, 1024))


def _plug_python() -> int:
    """Per size class, until a whole pool came out of untouched memory in one piece."""
    return sum(_fill(size) for size in range(_FLOAT, _SMALL + 1, _ALIGNMENT))


def _fill(size: int) -> int:
    last = run = taken = 0
    for n in range(_MOST):
        # No bytes object is as small as a float.
        block = float(n) if size == _FLOAT else bytes(size - _BYTES_HEADER)
        _fillers.append(block)
        taken += size
        run = run + 1 if id(block) == last + size else 0
        last = id(block)
        if run > _POOL // size - 4:
            break
    return taken


def _plug_libc() -> int:
    """Per size, until blocks come from the top of the heap."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
    libc.malloc.argtypes = (ctypes.c_size_t,)
    taken = 0
    top = libc.sbrk(0)
    for size in _LIBC_SIZES:
        for _ in range(_MOST):
            block = libc.malloc(size)
            _blocks.append(block)
            taken += size
            if block > top:
                break
    return taken
