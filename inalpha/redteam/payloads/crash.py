"""Reads address 0."""

# held by: watchdog

import ctypes


def attack(strategy, targets):
    ctypes.string_at(0)
