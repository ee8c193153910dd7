"""Steals a console's credential of the bus."""

# held by: seccomp


def attack(strategy, targets):
    strategy.log(open(targets["token"]).read())  # noqa: SIM115
