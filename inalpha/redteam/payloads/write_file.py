"""Leaves a file in a folder that anybody may write."""

# held by: seccomp


def attack(strategy, targets):
    open(targets["out"] + "/left", "w").write("here")  # noqa: SIM115
