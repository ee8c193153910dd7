"""Sets up io_uring, which works behind a filter's back."""

# held by: seccomp

import ctypes


def attack(strategy, targets):
    if ctypes.CDLL(None).syscall(425, 1, ctypes.create_string_buffer(120)) >= 0:
        strategy.log("ESCAPED: io_uring")
