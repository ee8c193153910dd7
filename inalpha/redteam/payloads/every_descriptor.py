"""Writes to every descriptor."""

# held by: step protocol

import os


def attack(strategy, targets):
    for fd in range(3, 256):
        try:
            os.write(fd, b"x")
        except OSError:
            continue
