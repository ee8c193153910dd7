"""Reads the ledger through the operating system's own call."""

# held by: seccomp

import os


def attack(strategy, targets):
    strategy.log(os.read(os.open(targets["ledger"], os.O_RDONLY), 60).hex())
