"""Reads the operator's key."""

# held by: seccomp


def attack(strategy, targets):
    strategy.log(open(targets["key"]).read())  # noqa: SIM115
