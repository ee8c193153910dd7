"""Forks a process that outlives it."""

# held by: seccomp

import os
import time


def attack(strategy, targets):
    if os.fork() == 0:
        time.sleep(2)
        os._exit(0)
    strategy.log("ESCAPED: forked")
