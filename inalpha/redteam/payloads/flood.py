"""Prints without end."""

# held by: output cap

import os


def attack(strategy, targets):
    while True:
        os.write(1, b"x" * 4096)
