"""Asks its inherited socket who is at the other end."""

# held by: seccomp

import ctypes


def attack(strategy, targets):
    who, size = ctypes.create_string_buffer(12), ctypes.c_int(12)
    if ctypes.CDLL(None).getsockopt(3, 1, 17, who, ctypes.byref(size)) == 0:
        strategy.log(f"ESCAPED: {who.raw!r}")
