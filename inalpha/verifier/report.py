"""The answer in words: what held, what did not, how far anchors reach."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any


def iso(microseconds: int | None) -> str:
    if microseconds is None:
        return "time unknown"
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )


def sworn(seconds: int | None) -> str:
    return "any time" if seconds is None else iso(seconds * 1_000_000)


def plain(text: object) -> str:
    """What a file says, on one line and unable to steer the auditor's terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in str(text)
    )


def say(text: str, *, err: bool = False) -> None:
    print(plain(text), file=sys.stderr if err else sys.stdout)


def show(result: dict[str, Any]) -> None:
    for check in result["checks"]:
        say(f"{'ok  ' if check['passed'] else 'FAIL'} {check['name']:4} {check['detail']}")
    if result["reason"] is not None:
        say(f"BROKEN: {result['reason']}", err=True)
        return
    say(f"{result['size']} lines, root {result['root']}")
    say("not checked here: I20, executing the strategies again")
    for fill in result["fills"]:
        if fill["outside"]:
            say(f"{fill['fill']} tells {iso(fill['ts'])}, outside of what witnesses swear to: not before "
                  f"{sworn(fill['not_before'])}, not after {sworn(fill['not_after'])}")  # fmt: skip
    if result["unanchored_since"] is not None:
        when = iso(result["unanchored_time"])
        say(f"unanchored since seq {result['unanchored_since']} ({when}); before it: {result['anchor']}")
    else:
        say(f"anchored whole by {result['anchor']}")
