"""Ends itself as if all were well."""

# held by: watchdog

import os


def attack(strategy, targets):
    os._exit(0)
