"""The closed list of line kinds, their members and types, as event_schemas.json states them.

The JSON file beside this module is the specification itself, so the text that auditors read and the check
that runs cannot drift apart. Unknown kinds, surplus members and other types are failures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from inalpha.audit.canonical import MAX_INTEGER, is_decimal, is_key
from inalpha.audit.notes import NoteError, parse_vkey
from inalpha.model.principals import SYSTEM

Check = Callable[[Any], bool]

HANDLE = r"[a-z0-9][a-z0-9-]{0,35}"
SYSTEM_PRINCIPALS = SYSTEM
GATE_ROLES = ("owner", "operator")
TWO_PERSON = frozenset({"candidate.promote", "run.start"})

_HEX64 = re.compile(r"[0-9a-f]{64}")
_ACCOUNT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PRINCIPAL = re.compile(rf"(?:op|agent):{HANDLE}")
_CLAIMANT = re.compile(rf"(?:op|agent|os):{HANDLE}")
_VKEY = re.compile(r"[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_TEXT = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,62}[\x21-\x7e])?")
_KEY_NAME = re.compile(r"[\x21-\x7e]{1,200}")
_COUNTER = "[1-9][0-9]{0,14}"
_IDS = {
    "candidate": re.compile(r"cand-[0-9a-f]{12}"),
    "intent": re.compile(rf"run-{_COUNTER}:(?:0|{_COUNTER}):(?:0|{_COUNTER})"),
    "run": re.compile(rf"run-{_COUNTER}"),
    "plan": re.compile(rf"plan-{_COUNTER}"),
    "order": re.compile(rf"order-{_COUNTER}"),
    "fill": re.compile(rf"fill-{_COUNTER}"),
    "proposal": re.compile(rf"prop-{_COUNTER}"),
}
_NESTED = {"mandate": "mandate", "body": "plan body", "feed": "mandate.feed"}
# Key names are longer than a word: the origin alone has 53 characters.
_LONG_TEXT = frozenset({"origin", "witness"})


class SchemaError(ValueError):
    """A line's content is not of the closed form."""


@cache
def specification() -> Mapping[str, Any]:
    """The parsed event_schemas.json."""
    source = resources.files("inalpha.audit").joinpath("event_schemas.json")
    loaded: Mapping[str, Any] = json.loads(source.read_text("utf-8"))
    return loaded


@cache
def kinds() -> Mapping[str, tuple[tuple[str, Check, bool], ...]]:
    """Per kind: the members with their checks, sorted by name."""
    return {kind: _members(entry["data"]) for kind, entry in specification()["kinds"].items()}


@cache
def gate_subjects() -> Mapping[str, tuple[str, ...]]:
    """Per gated kind: the members of its gate's subject."""
    return {kind: tuple(names) for kind, names in specification()["gate_subjects"].items()}


@cache
def proposal_subjects() -> Mapping[str, tuple[str, ...]]:
    """Per kind that an agent may propose: the members of its note's subject."""
    return {kind: tuple(names) for kind, names in specification()["proposal_subjects"].items()}


@cache
def _gates() -> Mapping[str, str]:
    return {kind: str(entry["gate"]) for kind, entry in specification()["kinds"].items()}


def check_data(kind: str, data: object) -> None:
    """Raise SchemaError unless data has exactly the members and types of its kind."""
    members = kinds().get(kind)
    if members is None:
        raise SchemaError(f"unknown kind {kind!r}")
    _check_members(members, data, kind)


def check_object(name: str, value: object) -> None:
    """The same for a nested object: "mandate", "plan body" or "mandate.feed"."""
    _check_members(_object(name), value, name)


def gate_role(kind: str, actor: str, data: Mapping[str, Any]) -> str | None:
    """The role that a line of this kind needs ("owner" or "operator"); None when it carries no gate."""
    rule = _gates().get(kind, "no")
    if rule in GATE_ROLES:
        return rule
    if kind == "limits.set":
        return "operator" if data.get("direction") == "loosen" else None
    if kind in ("plan.approve", "plan.reject"):
        return "operator" if actor.startswith("op:") else None
    return None


def is_principal(value: object) -> bool:
    return isinstance(value, str) and (value in SYSTEM_PRINCIPALS or _PRINCIPAL.fullmatch(value) is not None)


def is_sha256(value: object) -> bool:
    return isinstance(value, str) and _HEX64.fullmatch(value) is not None


def is_count(value: object) -> bool:
    """A non-negative integer that canonical JSON can carry (a boolean is none)."""
    return type(value) is int and 0 <= value <= MAX_INTEGER


def is_account(value: object) -> bool:
    return isinstance(value, str) and _ACCOUNT.fullmatch(value) is not None


def _check_members(members: tuple[tuple[str, Check, bool], ...], data: object, name: str) -> None:
    if type(data) is not dict:
        raise SchemaError(f"{name}: not an object")
    present = 0
    for member, check, may_be_absent in members:
        if member not in data:
            if may_be_absent:
                continue
            raise SchemaError(f"{name}: {member} is missing")
        if not check(data[member]):
            raise SchemaError(f"{name}: bad {member}")
        present += 1
    if present != len(data):
        raise SchemaError(f"{name}: other members than {', '.join(member for member, *_ in members)}")


def _members(types: Mapping[str, str]) -> tuple[tuple[str, Check, bool], ...]:
    """Name, check, and whether the member may be absent (`??`), sorted by name."""
    return tuple(
        (member, _checker(member, types[member].removesuffix("??")), types[member].endswith("??"))
        for member in sorted(types)
    )


@cache
def _object(name: str) -> tuple[tuple[str, Check, bool], ...]:
    return _members(specification()["objects"][name])


def _checker(member: str, kind: str) -> Check:
    if kind.endswith("?"):
        inner = _checker(member, kind[:-1])
        return lambda value: value is None or inner(value)
    if kind == "id":
        return _matches(_IDS[member])
    if kind == "obj":
        return _is_params if member == "params" else _nested(_NESTED[member])
    if kind == "text" and member in _LONG_TEXT:
        return _matches(_KEY_NAME)
    plain = _PLAIN.get(kind)
    if plain is not None:
        return plain
    if "|" not in kind:
        raise SchemaError(f"unknown type {kind!r}")
    words = frozenset(kind.split("|"))
    return lambda value: isinstance(value, str) and value in words


def _matches(pattern: re.Pattern[str]) -> Check:
    fullmatch = pattern.fullmatch
    return lambda value: isinstance(value, str) and fullmatch(value) is not None


def _nested(name: str) -> Check:
    def check(value: Any) -> bool:
        try:
            check_object(name, value)
        except SchemaError:
            return False
        return True

    return check


def _is_params(value: Any) -> bool:
    return type(value) is dict and all(is_key(name) and _is_param(item) for name, item in value.items())


def _is_param(value: Any) -> bool:
    if type(value) is int:
        return -MAX_INTEGER <= value <= MAX_INTEGER
    if type(value) is str:
        return len(value) <= 256 and not any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)
    return type(value) is bool


def _is_vkey(value: Any) -> bool:
    """A key whose id is its own: a later line that names it must find one that can be used."""
    if not isinstance(value, str) or _VKEY.fullmatch(value) is None:
        return False
    try:
        parse_vkey(value)
    except NoteError:
        return False
    return True


def _is_list(value: Any) -> bool:
    """[symbol, decimal] pairs, sorted by symbol, each symbol once, none of them flat."""
    if type(value) is not list:
        return False
    for item in value:
        if type(item) is not list or len(item) != 2 or not isinstance(item[0], str):
            return False
        if not is_decimal(item[1]) or item[1] == "0":
            return False
    symbols = [item[0] for item in value]
    return symbols == sorted(set(symbols))


_PLAIN: Mapping[str, Check] = {
    "sha256": is_sha256,
    "commit": is_sha256,
    "dec": is_decimal,
    "us": is_count,
    "int": is_count,
    "principal": is_principal,
    "claimant": _matches(_CLAIMANT),
    "account": is_account,
    "text": _matches(_TEXT),
    "b64": _matches(_BASE64),
    "vkey": _is_vkey,
    "bool": lambda value: type(value) is bool,
    "note": lambda value: type(value) is str,
    "list": _is_list,
}
