"""Kills itself so that it would be started again."""

# held by: seccomp

import ctypes


def attack(strategy, targets):
    getattr(ctypes.CDLL(None), "raise")(9)
