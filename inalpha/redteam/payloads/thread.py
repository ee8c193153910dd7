"""Starts a thread that would work between bars."""

# held by: seccomp

import threading


def attack(strategy, targets):
    thread = threading.Thread(target=int)
    thread.start()
    strategy.log(f"ESCAPED: {thread.name} ran")
