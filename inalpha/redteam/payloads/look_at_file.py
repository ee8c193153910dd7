"""Learns a file's length without opening it."""

# held by: seccomp

import os


def attack(strategy, targets):
    strategy.log(f"ESCAPED: {os.stat(targets['secret']).st_size} bytes")
