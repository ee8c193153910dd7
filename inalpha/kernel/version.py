"""What a journal means: the version of the kernel that made it, and which earlier ones are known.

Raise KERNEL_VERSION with every change after which equal inputs may give another output or text, and add the number
before to OLDER_VERSIONS. The journal's header names it, and the signed head of every step covers the header.
"""

from __future__ import annotations

import json

from inalpha.model.errors import Refused

KERNEL_VERSION = 4
# 1 is none of them: its journals had another form, and no release wrote one. 2 judged what only reduces anew at each
# fill and knew no account-wide cash. 3 knew no lock rules, no streaks, no
# bound on words and only the guard's hard stop.
OLDER_VERSIONS: frozenset[int] = frozenset({2, 3})


class OtherKernel(Refused):
    """The journal is of an earlier kernel: it can be read and its head checked, not executed. made_by: which."""

    def __init__(self, run: str, made_by: int) -> None:
        super().__init__(
            "KERNEL_VERSION",
            f"{run} was made by kernel {made_by}, this program has kernel {KERNEL_VERSION}.",
            f"Use a release with kernel {made_by} (inalpha --version names it).",
            detail={"run": run, "made_by": made_by, "kernel": KERNEL_VERSION},
        )
        self.made_by = made_by


def check_version(header: str) -> None:
    """Raise OtherKernel for the header of a known earlier version, ValueError for that of no known one."""
    body = json.loads(header)
    made_by = body.get("kernel") if isinstance(body, dict) else None
    if made_by == KERNEL_VERSION and type(made_by) is int:
        return
    if type(made_by) is int and made_by in OLDER_VERSIONS:
        raise OtherKernel(str(body.get("run")), made_by)
    raise ValueError(f"the journal was written by another kernel version, {made_by!r}")
