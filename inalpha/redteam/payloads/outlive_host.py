"""Takes back the signal that ends it with its host."""

# held by: seccomp

import ctypes


def attack(strategy, targets):
    if ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) != 0:
        raise PermissionError("prctl")
    strategy.log("ESCAPED: it would outlive the host")
