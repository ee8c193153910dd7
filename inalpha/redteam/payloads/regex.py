"""Backtracks for ever in C."""

# held by: deadline

import re


def attack(strategy, targets):
    re.match(r"(a+)+$", "a" * 64 + "!")
