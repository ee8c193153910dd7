"""Loops for ever."""

# held by: deadline


def attack(strategy, targets):
    while True:
        pass
