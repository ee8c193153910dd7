"""Makes a user namespace to regain capabilities."""

# held by: seccomp

import ctypes


def attack(strategy, targets):
    if ctypes.CDLL(None).unshare(0x10000000) == 0:
        strategy.log("ESCAPED: namespace")
