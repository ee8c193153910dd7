"""Takes four times its budget from C and touches it."""

# held by: limits

import ctypes


def attack(strategy, targets):
    malloc = ctypes.CDLL(None).malloc
    malloc.restype = ctypes.c_void_p
    block = malloc(256 << 20)
    if block:
        ctypes.memset(block, 1, 256 << 20)
        strategy.log("ESCAPED: 256 MiB")
