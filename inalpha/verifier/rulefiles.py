"""What only the rule files behind the hashes can tell: two people, and whether one is looser."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


def rule_members(text: bytes) -> dict[str, Any]:
    try:
        return members_of(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def members_of(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def looser_setting(new: bytes, old: bytes) -> str | None:
    """The first setting of a rule file that allows more than the older file's."""
    after, before = rule_members(new), rule_members(old)
    if before.get("two_person") is True and after.get("two_person") is not True:
        return "two_person"
    settings = members_of(after.get("controls"))
    for name, section in members_of(before.get("controls")).items():
        for key, value in members_of(section).items():
            if allows_more(key, members_of(settings.get(name)).get(key), value):
                return f"controls.{name}.{key}"
    return None


def allows_more(key: str, new: Any, old: Any) -> bool:
    """Numbers tighten downwards, 0 means no limit in two of them; switches tighten when they are on."""
    if type(old) is bool:
        return old and key in ("enabled", "long_only") and new is not True
    if type(old) is list:
        return type(new) is not list or any(item not in new for item in old)
    try:
        mine, theirs = Decimal(str(new)), Decimal(str(old))
        if key in ("notional", "max_lag_s"):
            return theirs != 0 and not 0 < mine <= theirs
        return mine > theirs
    except ArithmeticError:
        return bool(new != old)
