"""Connects to a listener of this machine."""

# held by: seccomp

import socket


def attack(strategy, targets):
    socket.create_connection(("127.0.0.1", targets["port"]), 1).sendall(b"hello")
