"""Empties the halt latch."""

# held by: seccomp

import os


def attack(strategy, targets):
    os.truncate(targets["latch"], 0)
