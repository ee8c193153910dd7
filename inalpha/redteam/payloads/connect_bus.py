"""Connects to the broker's socket."""

# held by: seccomp

import socket


def attack(strategy, targets):
    link = socket.socket(socket.AF_UNIX)
    link.connect(targets["bus"])
    strategy.log("ESCAPED: connected to the bus")
