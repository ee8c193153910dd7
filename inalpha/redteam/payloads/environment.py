"""Looks for a credential in its environment, in Python's copy and in C's."""

# held by: environment

import ctypes
import os


def attack(strategy, targets):
    strategy.log(str(sorted(os.environ.items()))[-1500:])
    variables = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    position = 0
    while variables[position]:
        strategy.log(variables[position].decode("utf-8", "replace"))
        position += 1
