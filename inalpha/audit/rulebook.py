"""What the record asks of a rule file that it names by hash: does it demand two people, is it looser than another.

Reads the canonical text as plain JSON, control by control, so that the standalone verifier can hold the same table.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from inalpha.audit.report import Report

# Numbers tighten downwards; these booleans tighten when true, and these numbers mean "no limit" at 0.
TIGHTER_WHEN_TRUE = frozenset({"enabled", "long_only"})
ZERO_IS_UNLIMITED = frozenset({"notional", "max_lag_s"})


@dataclass(slots=True)
class Claims:
    """Lines that only the rule files behind them can prove. unsigned: starts and promotions with one gate."""

    unsigned: list[tuple[int, str]] = field(default_factory=list)
    tightened: list[tuple[int, str, str]] = field(default_factory=list)


def demands_two(text: bytes) -> bool:
    """Whether promotions and starts under these rules need a second operator."""
    return _read(text).get("two_person") is True


def looser(new: bytes, old: bytes) -> str | None:
    """The first setting of new that allows more than old's; None when none does."""
    after, before = _read(new), _read(old)
    if before.get("two_person") is True and after.get("two_person") is not True:
        return "two_person"
    settings = _members(after.get("controls"))
    for name, section in _members(before.get("controls")).items():
        for key, value in _members(section).items():
            if _allows_more(key, _members(settings.get(name)).get(key), value):
                return f"controls.{name}.{key}"
    return None


def check_claims(claims: Claims, blob: Callable[[str], bytes | None], report: Report) -> None:
    """I19 for tightenings, C8 for second gates. A blob that is missing is C10's affair."""
    for seq, rules in claims.unsigned:
        text = blob(rules)
        if text is not None and demands_two(text):
            report.fail("C8", seq, "GATE_SECOND: the limits in force demand a second operator's gate")
    for seq, new, old in claims.tightened:
        after, before = blob(new), blob(old)
        setting = looser(after, before) if after is not None and before is not None else None
        if setting is not None:
            report.fail("I19", seq, f"told as tighter, but {setting} is looser")


def _read(text: bytes) -> dict[str, Any]:
    try:
        return _members(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def _members(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _allows_more(key: str, new: Any, old: Any) -> bool:
    """What has gone allows more; what neither table knows has to stay as it was."""
    if isinstance(old, bool):
        return key in TIGHTER_WHEN_TRUE and old and new is not True
    if isinstance(old, list):
        return not isinstance(new, list) or not set(map(str, old)) <= set(map(str, new))
    try:
        mine, theirs = Decimal(str(new)), Decimal(str(old))
        if key in ZERO_IS_UNLIMITED:
            return theirs != 0 and not 0 < mine <= theirs
        return mine > theirs
    except InvalidOperation:
        return bool(new != old)
