"""Signals the runner host."""

# held by: seccomp

import os


def attack(strategy, targets):
    os.kill(os.getppid(), 0)
    strategy.log("ESCAPED: the host can be signalled")
