"""Starts a shell."""

# held by: seccomp

import subprocess


def attack(strategy, targets):
    subprocess.run(["/bin/sh", "-c", f"echo here > {targets['out']}/shell"], check=True)
