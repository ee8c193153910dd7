"""Asks to be traced."""

# held by: seccomp

import ctypes


def attack(strategy, targets):
    if ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0:
        strategy.log("ESCAPED: traced")
